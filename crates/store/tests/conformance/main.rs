//! Every case of this suite holds on every database: SQLite in a file, SQLite in memory, PostgreSQL.
//!
//! PostgreSQL is the one that `TOLLGATE_TEST_POSTGRES` names; `cargo xtask test` starts one, `cargo xtask services` too.

#![expect(clippy::unwrap_used, reason = "what fails here fails its case")]

mod accounts;
mod answers;
mod audit;
mod credentials;
mod import;
mod journal;
mod keys;
mod look;
mod memberships;
mod objects;
mod place;
mod privacy;
mod rollouts;
mod schema;
mod sessions;
mod tls;
mod watch;

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

/// For cases that look at what is kept from beside the store, which nobody can in memory.
macro_rules! on_every_lasting_database {
    ($($file:ident { $($case:ident)* })*) => {
        mod lasting {
            mod sqlite {
                $(mod $file { $(#[test] fn $case() { crate::$file::$case(&mut crate::place::Place::file()); })* })*
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
        }
    };
}

on_every_database! {
    journal {
        records_are_taken_in_exactly_once
        a_crash_between_two_steps_repeats_nothing
        filters_and_sums_agree
        keys_of_one_name_are_summed_apart
        months_and_wrong_clocks_have_a_place
        texts_of_any_kind_are_kept
        postings_are_added_once
        sums_end_at_the_most_that_is_held
        two_handles_write_at_once
    }
    keys {
        keys_live_from_creation_to_revocation
        replicas_see_what_opens_a_key
        a_key_may_have_several_hashes
    }
    import {
        what_comes_from_elsewhere_is_taken_over_once
    }
    memberships { groups_of_a_user_are_followed_upwards }
    objects {
        objects_have_versions
        names_are_taken_once_in_each_organization
        changes_are_made_all_or_none
        lists_are_filtered_and_go_on
        tenants_cannot_cross
        replicas_see_what_has_changed
        the_clock_has_no_gaps
    }
    look {
        the_registry_is_seen_as_it_was
        history_goes_by_the_clock
        what_was_deleted_goes_on_under_its_id
    }
    answers {
        a_request_that_comes_again_has_its_answer
        a_transaction_reads_what_it_writes
    }
    credentials {
        credentials_are_sealed_and_go_on_under_another_key
        one_credential_does_not_stand_in_for_another
    }
    privacy {
        calls_are_found_by_whose_they_are
        calls_are_kept_for_as_long_as_is_said
        who_made_calls_is_forgotten
        a_user_is_forgotten_and_the_audit_is_whole
        only_users_are_forgotten
        that_there_was_an_administrator_is_not_forgotten
        what_others_asked_for_stays
        whose_a_budget_was_is_forgotten
        callers_are_seen_to_the_minute
    }
    audit {
        who_did_what_is_written_down
        people_are_told_by_their_ids
    }
    accounts {
        accounts_live_from_creation_to_their_end
        passwords_are_kept_as_slow_hashes_beside_them
        wrong_passwords_lock_an_account_for_all
        one_time_passwords_open_an_account_for_a_week
        a_hash_is_made_anew_without_ending_anything
    }
    sessions {
        sessions_are_known_by_their_token_until_they_end
        tenants_do_not_see_each_others_sessions
        a_person_has_so_many_sessions
        a_change_of_an_account_ends_its_sessions
        a_login_comes_back_once
    }
    watch {
        word_of_a_change_comes_to_others
        what_could_not_be_taken_up_is_told_again
    }
    rollouts {
        states_and_scores_are_kept
    }
    schema {
        a_schema_is_made_once
        a_lost_connection_is_made_again
    }
}

on_every_lasting_database! {
    keys { another_secret_is_refused }
    journal { one_refused_record_holds_up_no_other }
    schema { a_newer_schema_is_refused }
    audit { what_was_changed_behind_its_back_is_found }
}
