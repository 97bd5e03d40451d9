//! Sets of prompts with the marks that several models' answers got, and how they are divided into a part for
//! training and a part that is held out.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
};

use flate2::read::GzDecoder;
use serde_json::Value;

use super::curve::Trial;

/// A file of prompts.
pub(crate) struct Set {
    /// The file's name without `.jsonl.gz`.
    pub(crate) file: &'static str,
    /// The first is the small model that is measured; all of them are trained on.
    small: &'static [&'static str],
    /// The first is the strong model that is measured; all of them are trained on.
    strong: &'static [&'static str],
    /// The best mark.
    full_mark: f64,
    division: Division,
}

/// How a set is divided.
enum Division {
    /// By the prompt.
    Prompt,
    /// By the subject: no held-out prompt is of a subject that was trained on.
    Subject,
    /// All of it is in the first part.
    Whole,
}

const MIXTRAL_OF_ROUTELLM: &str = "mistralai/Mixtral-8x7B-Instruct-v0.1";
const MIXTRAL_OF_ROUTERBENCH: &str = "mistralai/mixtral-8x7b-chat";
const GPT_4: &str = "gpt-4-1106-preview";
/// The models of RouterBench whose price is a small part of GPT-4's.
const SMALL_OF_ROUTERBENCH: &[&str] = &[
    MIXTRAL_OF_ROUTERBENCH,
    "gpt-3.5-turbo-1106",
    "zero-one-ai/Yi-34B-Chat",
    "WizardLM/WizardLM-13B-V1.2",
    "mistralai/mistral-7b-chat",
    "meta/llama-2-70b-chat",
    "claude-instant-v1",
];

/// Sets whose licences permit training on them.
pub(crate) const SETS: [Set; 8] = [
    Set {
        file: "routellm_mmlu",
        small: &[MIXTRAL_OF_ROUTELLM],
        strong: &[GPT_4],
        full_mark: 1.0,
        division: Division::Subject,
    },
    Set {
        file: "routellm_gsm8k",
        small: &[MIXTRAL_OF_ROUTELLM],
        strong: &[GPT_4],
        full_mark: 1.0,
        division: Division::Prompt,
    },
    Set {
        file: "routellm_mtbench",
        small: &[MIXTRAL_OF_ROUTELLM],
        strong: &[GPT_4],
        full_mark: 10.0,
        division: Division::Whole,
    },
    Set {
        file: "routerbench_arc_challenge",
        small: SMALL_OF_ROUTERBENCH,
        strong: &[GPT_4],
        full_mark: 1.0,
        division: Division::Prompt,
    },
    Set {
        file: "routerbench_mbpp",
        small: SMALL_OF_ROUTERBENCH,
        strong: &[GPT_4],
        full_mark: 1.0,
        division: Division::Prompt,
    },
    Set {
        file: "routerbench_winogrande",
        small: SMALL_OF_ROUTERBENCH,
        strong: &[GPT_4],
        full_mark: 1.0,
        division: Division::Prompt,
    },
    Set {
        file: "routerarena_809",
        small: &["claude-3-haiku-20240307"],
        strong: &["gemini-2.0-flash-001"],
        full_mark: 1.0,
        division: Division::Subject,
    },
    Set {
        file: "llmrouter9",
        small: &["mistral-7b-instruct-v0.3", "qwen2.5-7b-instruct", "gemma-2-9b-it", "llama-3.1-8b-instruct"],
        strong: &["llama-3.1-nemotron-51b-instruct", "llama-3.3-nemotron-super-49b-v1"],
        full_mark: 1.0,
        division: Division::Prompt,
    },
];

/// A prompt and what the answers to it were worth: 0 to 1.
pub(crate) struct Prompt {
    pub(crate) text: String,
    /// Of the measured models.
    pub(crate) small: f64,
    pub(crate) strong: f64,
    /// What the calls cost, where the set says so, in dollars.
    pub(crate) cost: Option<Cost>,
    /// By how much the strong models' answers are better than the small ones', on average: -1 to 1.
    pub(crate) gain: f64,
    /// Which of [`PARTS`] it is in. The first is never trained on.
    pub(crate) part: u64,
}

/// Into how many parts prompts are divided.
pub(crate) const PARTS: u64 = 4;

#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) small: f64,
    pub(crate) strong: f64,
}

/// What calls are taken to cost where a set does not say: the strong model is twenty times as dear.
const COST_TAKEN: Cost = Cost { small: 0.05, strong: 1.0 };

impl Prompt {
    /// With the rank that a router gives the prompt.
    pub(crate) fn trial(&self, rank: f64) -> Trial {
        let cost = self.cost.unwrap_or(COST_TAKEN);
        let (small, strong) = (self.small, self.strong);
        Trial { rank, small, strong, small_cost: cost.small, strong_cost: cost.strong }
    }
}

impl Set {
    /// The names of the small and the strong model that are measured.
    pub(crate) fn pair(&self) -> [&'static str; 2] {
        [self.small, self.strong].map(|models| models.first().copied().unwrap_or_default())
    }

    /// Whether the measured pair is Mixtral 8x7B and GPT-4, as in most sets.
    pub(crate) fn is_of_gpt_4(&self) -> bool {
        self.strong.contains(&GPT_4)
    }

    /// Its prompts that both measured models answered, from the folder of all sets.
    pub(crate) fn read(&self, folder: &Path) -> std::io::Result<Vec<Prompt>> {
        let rows = rows(&folder.join("routing").join(self.file).with_extension("jsonl.gz"))?;
        Ok(rows.iter().filter_map(|row| self.prompt(row)).collect())
    }

    fn prompt(&self, row: &Value) -> Option<Prompt> {
        let text = row["prompt"].as_str()?;
        let mark = |model: &str| Some((row["scores"][model].as_f64()? / self.full_mark).clamp(0.0, 1.0));
        let mean = |models: &[&str]| {
            let marks: Vec<f64> = models.iter().filter_map(|model| mark(model)).collect();
            marks.iter().sum::<f64>() / marks.len() as f64
        };
        let [small, strong] = self.pair();
        let price = |model: &str| row["cost"][model].as_f64();
        let part = match self.division {
            Division::Whole => 0,
            Division::Subject => part(row["task"].as_str()?),
            Division::Prompt => part(text),
        };
        Some(Prompt {
            small: mark(small)?,
            strong: mark(strong)?,
            cost: price(small).zip(price(strong)).map(|(small, strong)| Cost { small, strong }),
            gain: mean(self.strong) - mean(self.small),
            part,
            text: text.to_owned(),
        })
    }
}

/// The lines of a packed file, each as JSON.
pub(crate) fn rows(path: &Path) -> std::io::Result<Vec<Value>> {
    let lines = BufReader::new(GzDecoder::new(File::open(path)?)).lines();
    lines.map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

/// The part of a text: the same text is in the same part in whichever set it stands.
fn part(text: &str) -> u64 {
    let letters = text.chars().filter(|character| character.is_alphanumeric()).flat_map(char::to_lowercase);
    let hash = letters.fold(0xcbf2_9ce4_8422_2325_u64, |hash, letter| {
        (hash ^ u64::from(u32::from(letter))).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 32) % PARTS
}
