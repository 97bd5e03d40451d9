//! What the groups of people mean that identity providers put in.

/// A group whose members stand below a team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupTeam {
    pub group: String,
    pub team: String,
}

/// The team of somebody who is in these groups: of several the first that is written holds.
pub fn team<'m>(mapping: &'m [GroupTeam], groups: &[String]) -> Option<&'m str> {
    mapping.iter().find(|entry| groups.contains(&entry.group)).map(|entry| entry.team.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_group_that_is_written_holds() {
        let entry = |group: &str, team: &str| GroupTeam { group: group.to_owned(), team: team.to_owned() };
        let mapping = [entry("Leads", "core"), entry("Engineering", "search")];
        let check = |groups: &[&str], expected: Option<&str>| {
            let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
            assert_eq!(team(&mapping, &groups), expected, "{groups:?}");
        };
        check(&["Engineering", "Leads"], Some("core"));
        check(&["Engineering"], Some("search"));
        check(&["engineering"], None);
        check(&[], None);
    }
}
