//! Training, and how well weights do on a set when they were trained on the others.

use std::{
    env,
    fmt::Write,
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;

use super::{
    curve::{Curve, Trial},
    model::Model,
    sets::{PARTS, SETS},
    weights::{self, Example},
};
use crate::run;

/// The weights' file.
const FILE: &str = "crates/policy/src/classify/difficulty.bin";
/// The page of which this task writes what stands between two marks.
const PAGE: &str = "docs/content-routing.md";
const MARKS: [&str; 2] = ["<!-- made by cargo xtask train-difficulty -->\n", "<!-- end -->"];

pub(crate) fn run() -> anyhow::Result<()> {
    let examples = examples(&folder()?)?;
    let training: Vec<&Example> = examples.iter().filter(|example| example.prompt.part != 0).collect();
    let file = weights::file(&training);
    let before = fs::read(run::root().join(FILE)).unwrap_or_default();
    fs::write(run::root().join(FILE), &file)?;
    run::say(&format!(
        "{FILE}: {} bytes, {}, trained on {} of {} prompts",
        file.len(),
        if file == before { "as before" } else { "changed" },
        training.len(),
        examples.len()
    ));
    let table = left_out(&examples);
    run::say(&table);
    let path = run::root().join(PAGE);
    let page = fs::read_to_string(&path)?;
    let (before, rest) = page.split_once(MARKS[0]).context("the page has no place for the table")?;
    let (_, after) = rest.split_once(MARKS[1]).context("the table has no end")?;
    fs::write(path, format!("{before}{}\n{table}\n{}{after}", MARKS[0], MARKS[1]))?;
    Ok(())
}

/// The folder of the labelled sets: that of the environment, or one beside the checkout.
fn folder() -> anyhow::Result<PathBuf> {
    let folder =
        env::var_os("TOLLGATE_EVAL").map_or_else(|| run::root().join("../shared/eval"), PathBuf::from);
    fs::canonicalize(&folder)
        .with_context(|| format!("{} is no folder of labelled sets; set TOLLGATE_EVAL", folder.display()))
}

fn examples(folder: &Path) -> anyhow::Result<Vec<Example>> {
    let mut examples = Vec::new();
    for (at, set) in SETS.iter().enumerate() {
        let prompts = set.read(folder).with_context(|| set.file.to_owned())?;
        examples.extend(prompts.into_iter().map(|prompt| Example::new(at, prompt)));
    }
    Ok(examples)
}

/// A table of how well prompts are ranked by weights that were not trained on them: when other prompts of their set
/// were trained on, and when the whole set was left out.
fn left_out(examples: &[Example]) -> String {
    let by_part = ranks(examples, PARTS, |example| example.prompt.part);
    let by_set = ranks(examples, SETS.len() as u64, |example| example.set as u64);
    let mut table = "| set | prompts | APGR, other prompts of the set trained on | APGR, only other sets trained on |\n| --- | ---: | ---: | ---: |\n".to_owned();
    let mut line = |name: &str, chosen: &dyn Fn(usize) -> bool| {
        let trials = |ranks: &[f64]| -> Vec<Trial> {
            let own = examples.iter().zip(ranks).filter(|(example, _)| chosen(example.set));
            own.map(|(example, rank)| example.prompt.trial(*rank)).collect()
        };
        let [parts, sets] = [trials(&by_part), trials(&by_set)];
        let [part, set] = [&parts, &sets].map(|trials| Curve::ranked(trials).recovered_mean());
        let _ = writeln!(table, "| {name} | {} | {part:.2} | {set:.2} |", parts.len());
    };
    for (at, set) in SETS.iter().enumerate() {
        line(set.file, &|set| set == at);
    }
    line("all of Mixtral and GPT-4", &|set| SETS[set].is_of_gpt_4());
    table
}

/// The rank of each example, by weights that are trained on all groups but its own.
fn ranks(examples: &[Example], groups: u64, group: impl Fn(&Example) -> u64) -> Vec<f64> {
    let mut ranks = vec![0.0; examples.len()];
    for left_out in 0..groups {
        let others: Vec<&Example> = examples.iter().filter(|example| group(example) != left_out).collect();
        let file = weights::file(&others);
        let model = Model::read(&file).expect("a file is read as it is written");
        for (rank, example) in
            ranks.iter_mut().zip(examples).filter(|(_, example)| group(example) == left_out)
        {
            *rank = f64::from(model.rank(model.score(&example.features)));
        }
    }
    ranks
}
