//! Difficulty on prompts that it was not trained on.

use std::fmt::Write;

use tollgate_policy::classify::difficulty::difficulty;

use crate::{
    curve::{Curve, Trial},
    folder,
    measures::{at_share, oracle, random, recovered_range, saved, share_for},
    page,
    sets::SETS,
};

/// The held-out prompts of one set or of several.
struct Measured {
    name: String,
    pair: [&'static str; 2],
    trials: Vec<Trial>,
}

#[test]
fn difficulty_beats_chance_on_held_out_prompts() {
    let Some(folder) = folder() else { return };
    let sets: Vec<Measured> = SETS
        .iter()
        .map(|set| {
            let prompts = set.read(&folder).unwrap_or_else(|error| panic!("{}: {error}", set.file));
            let held_out = prompts.iter().filter(|prompt| prompt.part == 0);
            let trials = held_out.map(|prompt| prompt.trial(f64::from(difficulty(&prompt.text))));
            Measured { name: set.file.to_owned(), pair: set.pair(), trials: relative(trials.collect()) }
        })
        .collect();
    let gpt_4 = sets.iter().filter(|set| set.pair[1].starts_with("gpt-4"));
    let trials: Vec<Trial> = gpt_4.flat_map(|set| set.trials.iter().copied()).collect();
    let together =
        Measured { name: "all of Mixtral and GPT-4".to_owned(), pair: ["Mixtral 8x7B", "GPT-4"], trials };
    let apgr = |name: &str| {
        let set = sets.iter().find(|set| set.name == name).expect("the set is one of the list");
        Curve::ranked(&set.trials).recovered_mean()
    };
    page::check("quality", &quality(&sets, &together));
    page::check("cost", &cost(&sets, &together));
    page::check("curve", &curve(&together));
    page::check("ranks", &ranks(&sets));
    let found = Curve::ranked(&together.trials).recovered_mean();
    assert!(found > 0.58, "all together {found:.3}: chance is 0.5");
    for name in ["routellm_mmlu", "routellm_gsm8k", "routerarena_809"] {
        assert!(apgr(name) > 0.55, "{name} {:.3}: chance is 0.5", apgr(name));
    }
}

/// Costs as parts of what the strong model's average call costs.
fn relative(trials: Vec<Trial>) -> Vec<Trial> {
    let mean = trials.iter().map(|trial| trial.strong_cost).sum::<f64>() / trials.len() as f64;
    let divided = trials.iter().map(|trial| Trial {
        small_cost: trial.small_cost / mean,
        strong_cost: trial.strong_cost / mean,
        ..*trial
    });
    divided.collect()
}

fn quality(sets: &[Measured], together: &Measured) -> String {
    let mut table = "| set | small model | strong model | prompts | small | strong | APGR | 95 % range | oracle | CPT(50 %) | CPT(80 %) |\n| --- | --- | --- | ---: | ---: | ---: | ---: | --- | ---: | ---: | ---: |\n".to_owned();
    for set in sets.iter().chain([together]) {
        let curve = Curve::ranked(&set.trials);
        let [low, high] = recovered_range(&set.trials);
        let _ = writeln!(
            table,
            "| {} | {} | {} | {} | {:.3} | {:.3} | {:.2} | {low:.2} to {high:.2} | {:.2} | {} | {} |",
            set.name,
            set.pair[0].rsplit('/').next().unwrap_or_default(),
            set.pair[1],
            set.trials.len(),
            curve.small().quality,
            curve.strong().quality,
            curve.recovered_mean(),
            oracle(&set.trials).recovered_mean(),
            percent(share_for(&curve, 0.5)),
            percent(share_for(&curve, 0.8)),
        );
    }
    table
}

fn cost(sets: &[Measured], together: &Measured) -> String {
    let mut table = "| set | small model's cost | 95 %: router | chance | oracle | 98 %: router | chance | oracle | 100 %: router | chance | oracle |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n".to_owned();
    for set in sets.iter().chain([together]) {
        let curves = [Curve::ranked(&set.trials), random(&set.trials), oracle(&set.trials)];
        let small_cost = curves[0].small().cost;
        let _ = write!(table, "| {} | {} |", set.name, percent(small_cost));
        if small_cost >= 1.0 {
            table.push_str(" the strong model is the cheaper one | | | | | | | | |\n");
            continue;
        }
        for part in [0.95, 0.98, 1.0] {
            for curve in &curves {
                let _ = write!(table, " {} |", percent(saved(curve, part)));
            }
        }
        table.push('\n');
    }
    table
}

fn curve(together: &Measured) -> String {
    let trials = &together.trials;
    let (router, random, oracle) = (Curve::ranked(trials), random(trials), oracle(trials));
    let mut ranks: Vec<f64> = trials.iter().map(|trial| trial.rank).collect();
    ranks.sort_by(f64::total_cmp);
    let mut table =
        "| to the strong model | difficulty above | cost | quality: router | chance | oracle | part of the gap that is closed |\n| ---: | ---: | ---: | ---: | ---: | ---: | --- |\n".to_owned();
    for tenth in 0..=10 {
        let share = f64::from(tenth) / 10.0;
        let below = ((1.0 - share) * ranks.len() as f64) as usize;
        let threshold = below.checked_sub(1).map_or(0.0, |at| ranks[at]);
        let point = at_share(&router, share);
        let closed = router.recovered(point.quality);
        let _ = writeln!(
            table,
            "| {} | {threshold:.2} | {} | {:.3} | {:.3} | {:.3} | `{}` {} |",
            percent(share),
            percent(point.cost),
            point.quality,
            at_share(&random, share).quality,
            at_share(&oracle, share).quality,
            "#".repeat((closed.max(0.0) * 30.0).round() as usize),
            percent(closed),
        );
    }
    table
}

/// How often the small model's answer was worse, by difficulty.
fn ranks(sets: &[Measured]) -> String {
    let mut table = "| difficulty | prompts | small model worse | as good | better |\n| --- | ---: | ---: | ---: | ---: |\n".to_owned();
    for fifth in 0..5 {
        let [from, to] = [fifth, fifth + 1].map(|at| f64::from(at) / 5.0);
        let trials = sets.iter().flat_map(|set| &set.trials);
        let inside: Vec<f64> = trials
            .filter(|trial| trial.rank >= from && (trial.rank < to || fifth == 4))
            .map(|trial| trial.strong - trial.small)
            .collect();
        let share = |kind: fn(f64) -> bool| {
            percent(inside.iter().filter(|gain| kind(**gain)).count() as f64 / inside.len() as f64)
        };
        let _ = writeln!(
            table,
            "| {from:.1} to {to:.1} | {} | {} | {} | {} |",
            inside.len(),
            share(|gain| gain > 0.0),
            share(|gain| gain == 0.0),
            share(|gain| gain < 0.0),
        );
    }
    table
}

fn percent(part: f64) -> String {
    // No minus before a zero.
    format!("{:.0} %", (part * 100.0).round() + 0.0)
}
