//! `tollgate erase`.

use clap::Args;
use serde_json::json;
use store::{Error, Subject, Tenancy};
use uuid::Uuid;

use super::{Place, author, say, say_error};

#[derive(Args)]
#[command(after_help = "Example: tollgate erase --end-user kim@example.com")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    who: Who,
    /// Delete the calls. Otherwise they stay, with what they cost, without the one who made them.
    #[arg(long)]
    delete: bool,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct Who {
    /// A user that has ended, by id.
    #[arg(long)]
    user: Option<Uuid>,
    /// Who made calls, by the name that `tollgate logs` shows.
    #[arg(long)]
    caller: Option<String>,
    /// For whom calls were made, as callers named them.
    #[arg(long)]
    end_user: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (data, snapshot) = arguments.place.open_configured()?;
    let mut database = data.database()?;
    let who = &arguments.who;
    let subject = match (who.user, &who.caller, &who.end_user) {
        (Some(id), _, _) => Subject::User(id),
        (_, Some(caller), _) => Subject::Caller(caller.clone()),
        (_, _, Some(end_user)) => Subject::EndUser(end_user.clone()),
        (None, None, None) => anyhow::bail!("name one of --user, --caller and --end-user"),
    };
    if let Subject::User(id) = subject {
        let of_file = snapshot.entities.iter().any(|entity| entity.id == id);
        let lives = database.object(Tenancy::All, id)?.is_some_and(|object| object.deleted_us.is_none());
        anyhow::ensure!(!of_file && !lives, "the user {id} is there still; end it first");
    }
    let erased = database.erase(Tenancy::All, (&subject, arguments.delete), &author(), server::now_us());
    let erasure = erased.map_err(|error| match error {
        Error::NoObject(id) => anyhow::anyhow!("neither the registry nor the journal has a user {id}"),
        error => error.into(),
    })?;
    say(&if arguments.json {
        json!(erasure).to_string()
    } else {
        let done = if erasure.deletes { "deleted" } else { "kept without who made them" };
        format!("forgotten; {} calls were {done}", erasure.calls)
    });
    if erasure.calls == 0 && erasure.kind != "user" {
        say_error(
            "no call of the journal has this name; those that are on their way are treated the same for a day",
        );
    }
    Ok(())
}
