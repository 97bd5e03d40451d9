//! In turns, as often as weights say, and as evenly as that can be: each pick adds every one's weight to its account, takes
//! the fullest account and draws all weights from it ("smooth weighted round robin", as nginx has it:
//! <https://nginx.org/en/docs/http/ngx_http_upstream_module.html>).

use super::Choice;

pub(super) fn pick(choice: &mut Choice<'_>) -> usize {
    let Choice { contenders, left, vitals, route, now, .. } = choice;
    let turns = &mut vitals.route(*route, *now).turns;
    let known = |contender: &super::Contender| contender.id;
    if turns.len() > 2 * contenders.len() {
        turns.retain(|(id, _)| contenders.iter().any(|contender| contender.id == *id));
    }
    let mut best: Option<(usize, usize)> = None;
    let mut all = 0;
    for &number in *left {
        let Some(contender) = contenders.get(number) else { continue };
        let id = known(contender);
        // Accounts mostly stand as the contenders do.
        let here = turns.get(number).is_some_and(|(turn, _)| *turn == id).then_some(number);
        let at = here.or_else(|| turns.iter().position(|(turn, _)| *turn == id)).unwrap_or_else(|| {
            turns.push((id, 0));
            turns.len() - 1
        });
        let weight = i64::from(contender.weight);
        all += weight;
        let Some((_, account)) = turns.get_mut(at) else { continue };
        *account += weight;
        let account = *account;
        let fullest = best.and_then(|(_, at)| turns.get(at)).map(|(_, account)| *account);
        if fullest.is_none_or(|fullest| account > fullest) {
            best = Some((number, at));
        }
    }
    let Some((number, at)) = best else { return left.first().copied().unwrap_or_default() };
    if let Some((_, account)) = turns.get_mut(at) {
        *account -= all;
    }
    number
}
