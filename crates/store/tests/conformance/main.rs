//! Every case of this suite holds on every database: SQLite in a file, SQLite in memory, PostgreSQL.
//!
//! PostgreSQL is the one that `TOLLGATE_TEST_POSTGRES` names; `cargo xtask test` starts one, `cargo xtask services` too.

#![expect(clippy::unwrap_used, reason = "what fails here fails its case")]

mod journal;
mod keys;
mod place;
mod rollouts;
mod schema;

/// Makes a test of each case on each database.
macro_rules! on_every_database {
    ($($file:ident { $($case:ident)* })*) => {
        mod sqlite {
            $(mod $file { $(#[test] fn $case() { crate::$file::$case(&mut crate::place::Place::file()); })* })*
        }
        mod memory {
            $(mod $file { $(#[test] fn $case() { crate::$file::$case(&mut crate::place::Place::memory()); })* })*
        }
        mod postgres {
            $(mod $file { $(
                #[test]
                fn $case() {
                    if let Some(mut place) = crate::place::Place::server() {
                        crate::$file::$case(&mut place);
                    }
                }
            )* })*
        }
    };
}

on_every_database! {
    journal {
        records_are_taken_in_exactly_once
        a_crash_between_two_steps_repeats_nothing
        filters_and_sums_agree
        months_and_wrong_clocks_have_a_place
        texts_of_any_kind_are_kept
        two_handles_write_at_once
    }
    keys {
        keys_live_from_creation_to_revocation
        another_secret_is_refused
    }
    rollouts {
        states_and_scores_are_kept
    }
    schema {
        a_schema_is_made_once
        a_newer_schema_is_refused
        a_lost_connection_is_made_again
    }
}
