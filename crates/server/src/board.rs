//! What cores tell each other of targets and credentials. Writing is rare; whoever reads looks at one number that hardly ever
//! changes.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use policy::vitals::News;

/// The most that is kept for cores that have not looked yet.
const KEPT_MAX: usize = 1_024;

/// News of all cores.
#[derive(Default)]
pub(crate) struct Board {
    /// How many there were.
    count: AtomicU64,
    posts: Mutex<VecDeque<Post>>,
}

struct Post {
    number: u64,
    /// Who wrote it: nobody needs to read what it wrote itself.
    core: usize,
    news: News,
}

impl Board {
    pub(crate) fn post(&self, core: usize, news: impl IntoIterator<Item = News>) {
        let mut posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        for news in news {
            if posts.len() >= KEPT_MAX {
                posts.pop_front();
            }
            let number = self.count.load(Relaxed) + 1;
            posts.push_back(Post { number, core, news });
            self.count.store(number, Relaxed);
        }
    }

    /// What others wrote since; `heard` is how far this core has read.
    pub(crate) fn since(&self, core: usize, heard: &mut u64) -> Vec<News> {
        if self.count.load(Relaxed) == *heard {
            return Vec::new();
        }
        let posts = self.posts.lock().unwrap_or_else(PoisonError::into_inner);
        let new = posts.iter().filter(|post| post.number > *heard && post.core != core);
        let new = new.map(|post| post.news).collect();
        *heard = self.count.load(Relaxed);
        new
    }
}

#[cfg(test)]
mod tests {
    use policy::vitals::TargetId;

    use super::*;

    #[test]
    fn each_core_reads_what_others_wrote_once() {
        let board = Board::default();
        let mut heard = [0, 0];
        board.post(0, [News::Back(TargetId(1)), News::Back(TargetId(2))]);
        assert_eq!(board.since(1, &mut heard[1]).len(), 2);
        assert_eq!(board.since(1, &mut heard[1]).len(), 0);
        assert_eq!(board.since(0, &mut heard[0]).len(), 0, "its own");
        board.post(1, (0..5_000).map(|number| News::Back(TargetId(number))));
        assert_eq!(board.since(0, &mut heard[0]).len(), KEPT_MAX);
    }
}
