"""What keeps rows from being lost, line by line: each guard, what is left where it is taken away, and who notices."""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "tests/unit/"


@dataclass(frozen=True)
class Guard:
    """`text` stands exactly once in `file`; with `instead` in its place the `test` fails."""

    protects: str
    file: str
    text: str
    instead: str
    test: str


GUARDS = (
    # -- snapshots and runs --------------------------------------------------------------------------------
    Guard(
        "A snapshot opens one run, however often it is announced.",
        "shared/runs/reconcile.py",
        "news = fingerprint != environment.opened_fingerprint",
        "news = True",
        UNIT + "test_openings.py::test_a_snapshot_announced_n_times_opens_one_run",
    ),
    Guard(
        "A snapshot that still changes is not taken.",
        "shared/runs/reconcile.py",
        "if now - since < timedelta(seconds=patience.settle):",
        "if False:",
        UNIT + "test_openings.py::test_a_new_fingerprint_is_remembered_and_waits_until_it_has_settled",
    ),
    Guard(
        "A snapshot that is not whole is waited for.",
        "shared/runs/reconcile.py",
        "if incomplete is not None and now - incomplete < timedelta(seconds=patience.whole_within):",
        "if False:",
        UNIT + "test_openings.py::test_a_snapshot_that_is_not_whole_is_waited_for_and_then_taken_as_it_is",
    ),
    Guard(
        "One run at a time has an environment.",
        "shared/lifecycle.py",
        "run = None if lock.run else decide.choose(services.store.waiting_runs(environment))",
        "run = decide.choose(services.store.waiting_runs(environment))",
        UNIT + "test_turns_of_runs.py::test_a_run_waits_while_another_one_has_the_environment",
    ),
    Guard(
        "A closing whose message is lost is asked for again.",
        "shared/runs/reconcile.py",
        "if now - at < resend and not lost}",
        "}",
        UNIT + "test_reconcile.py::test_a_closing_is_asked_for_again_only_when_its_message_must_be_lost",
    ),
    Guard(
        "The lock changes with the run that has it, or neither does.",
        "shared/runs/store.py",
        "        etags = [self._runs.write(writes[0])] if len(writes) == 1 else self._runs.transact(writes)\n",
        "        etags = [self._runs.write(one) for one in reversed(writes)][::-1]\n",
        UNIT + "test_turns_of_runs.py::test_who_ends_a_run_that_has_moved_on_changes_nothing",
    ),
    Guard(
        "A run whose lake changed while it was planned writes nothing, and plans anew.",
        "shared/lifecycle.py",
        "if services.lake.snapshot(run.environment).fingerprint == run.fingerprint:",
        "if True:",
        UNIT + "test_turns_of_runs.py::test_a_run_whose_lake_changed_gives_its_turn_back",
    ),
    Guard(
        "Nothing is sent before the lake was looked at again.",
        "shared/prepare.py",
        "if lifecycle.requeue_if_changed(services, run):",
        "if False:",
        UNIT + "test_preparing.py::test_a_run_whose_lake_changed_is_not_sent",
    ),
    Guard(
        "Nothing is sent to another organization than the run was planned for.",
        "shared/prepare.py",
        "refuse_another(url, services.dataverse.introduce(url).organization_id, run.organization_id)",
        "del url",
        UNIT + "test_preparing.py::test_a_run_that_was_planned_for_another_organization_is_not_sent",
    ),
    # -- plans ---------------------------------------------------------------------------------------------
    Guard(
        "A plan is published once: of two workers that plan a task, only one's plan is sent.",
        "shared/runs/store.py",
        'return replace(task, etag=self._tasks.write(Write(task, key(task.run), f"task {key(task.key)}", task.etag)))',
        'self._tasks.put(task, key(task.run), f"task {key(task.key)}")\n        return self.task(task.run, task.key)',
        UNIT + "test_plan.py::test_of_two_workers_that_plan_a_task_one_publishes",
    ),
    Guard(
        "A message of another round plans nothing.",
        "shared/plan.py",
        "or not run.attempt == task.round == message.round:",
        "or False:",
        UNIT + "test_plan.py::test_what_belongs_to_another_round_does_nothing",
    ),
    Guard(
        "The profiles are planned before the rows that point to them.",
        "shared/plan.py",
        "if task.key not in {one.key for one in plannable(lifecycle.tasks_of(services, run))}:",
        "if False:",
        UNIT + "test_plan.py::test_other_tables_wait_for_the_profiles",
    ),
    Guard(
        "A row that was cut off never looks like a row that was removed.",
        "shared/delta/delimited.py",
        '"null_padding": "false",  # it would hide rows that are too short',
        '"null_padding": "true",',
        UNIT + "test_structure.py::test_a_row_that_is_cut_off_or_too_wide_fails_its_table",
    ),
    Guard(
        "A row with an empty column too many moves no values.",
        "shared/delta/delimited.py",
        "if wide:",
        "if False:",
        UNIT + "test_structure.py::test_an_empty_column_beyond_the_last_fails_its_table",
    ),
    Guard(
        "The brake holds a mass removal.",
        "shared/delta/compare.py",
        "return affected > BRAKE_ROWS and affected * 100 > policy.brake_percent * known",
        "return False",
        UNIT + "test_delta.py::test_the_brake",
    ),
    Guard(
        "The brake holds overwriting what others wrote.",
        "shared/delta/compare.py",
        '_OVERWRITES = "record IS NOT NULL AND isforeign"',
        '_OVERWRITES = "false"',
        UNIT + "test_link_adoption.py::test_overwriting_what_others_wrote_is_braked",
    ),
    Guard(
        "Nothing is removed while there is a reason to doubt that it is gone.",
        "shared/delta/compare.py",
        "held = removable if policy.hold or _brakes(",
        "held = removable if _brakes(",
        UNIT + "test_delta.py::test_nothing_is_removed_while_there_is_a_reason_to_hold",
    ),
    Guard(
        "An uncertain row is written again.",
        "shared/delta/compare.py",
        "NOT {known} OR s.mark = 'uncertain' OR s.entry",
        "NOT {known} OR s.entry",
        UNIT + "test_delta.py::test_an_uncertain_row_is_written_again",
    ),
    Guard(
        "A row is written again when its profile was removed and came back.",
        "shared/tables/rows.py",
        "md5(record || born)::UUID",
        "md5(record)::UUID",
        UNIT + "test_children_between_runs.py::test_a_row_is_written_again_when_its_profile_came_back_as_another_one",
    ),
    Guard(
        "A link is set again when its profile was removed and came back.",
        "shared/delta/compare.py",
        '" OR s.born <> d.target"',
        '""',
        UNIT + "test_link_adoption.py::test_a_link_whose_profile_went_and_came_back_is_set_again",
    ),
    Guard(
        "A run that is stopped sends nothing more.",
        "shared/send.py",
        "            raise StoppedError(run.stopped)\n",
        "            pass\n",
        UNIT + "test_chunk_claims.py::test_a_run_that_is_stopped_sends_nothing_more",
    ),
    Guard(
        "Of a call that was stopped before its first request nothing is uncertain.",
        "shared/send.py",
        "self._chunk = replace(self._chunk, begun=before)",
        "pass",
        UNIT + "test_chunk_claims.py::test_a_run_that_is_stopped_sends_nothing_more",
    ),
    Guard(
        "What was held is carried out only while nothing else is known of the table.",
        "shared/plan.py",
        "if (pointer.run, pointer.attempt) != (planning.run.confirms, task.confirms) or pointer.pending:",
        "if pointer.pending:",
        UNIT + "test_published_plans.py::test_what_was_held_is_not_carried_out_once_another_run_has_committed",
    ),
    Guard(
        "What was held is not carried out while an outcome is unknown.",
        "shared/plan.py",
        "(planning.run.confirms, task.confirms) or pointer.pending:",
        "(planning.run.confirms, task.confirms):",
        UNIT + "test_published_plans.py::test_what_was_held_is_not_carried_out_while_an_outcome_is_unknown",
    ),
    Guard(
        "Of rows with one key one is written, always the same.",
        "shared/delta/compare.py",
        "WHERE rank > 1)",
        "WHERE false)",
        UNIT + "test_delta.py::test_of_rows_with_one_key_one_is_taken_whatever_their_order",
    ),
    Guard(
        "Rows that Dataverse refused last spoil no other row's call.",
        "shared/delta/compare.py",
        "WHEN {id} IN (SELECT id FROM refused) THEN 2",
        "WHEN false THEN 2",
        UNIT + "test_refused_rows.py::test_a_row_that_is_there_travels_apart_with_what_it_is_to_become",
    ),
    Guard(
        "A link that somebody else wrote is known as such.",
        "shared/delta/state.py",
        "ELSE 'foreign' END AS mark",
        "ELSE '' END AS mark",
        UNIT + "test_link_adoption.py::test_overwriting_what_others_wrote_is_braked",
    ),
    Guard(
        "One environment writes to an organization.",
        "shared/runs/store.py",
        "if found.environment in configured:",
        "if False:",
        UNIT + "test_stored_rows.py::test_an_organization_is_owned_by_who_asked_first_as_long_as_it_is_configured",
    ),
    Guard(
        "Of two workers that prepare a run, one lets it be sent.",
        "shared/prepare.py",
        "    if (left := _held_seconds(services, run)) > 0:",
        "    if (left := _held_seconds(services, run)) > 1e9:",
        UNIT + "test_preparing.py::test_of_two_workers_that_prepare_a_run_one_lets_it_be_sent",
    ),
    Guard(
        "Tasks of an earlier round are none of the run's.",
        "shared/lifecycle.py",
        "if task.round == run.attempt]",
        "]",
        UNIT + "test_turns_of_runs.py::test_tasks_of_an_earlier_round_are_none_of_the_run",
    ),
    # -- sending -------------------------------------------------------------------------------------------
    Guard(
        "How far a call may reach is written down before it is made.",
        "shared/send.py",
        "begun=max(end, before)",
        "begun=before",
        UNIT + "test_chunk_claims.py::test_each_call_is_claimed_before_it_is_made",
    ),
    Guard(
        "A claim outlasts every request that is made under it.",
        "shared/send.py",
        "if lease is not None and lease - self._services.clock.now() >= timedelta(seconds=needed):",
        "if lease is not None:",
        UNIT + "test_chunk_claims.py::test_no_request_goes_out_that_may_outlast_the_claim",
    ),
    Guard(
        "A chunk that somebody holds is left to them.",
        "shared/send.py",
        "if chunk.lease_until is not None and chunk.lease_until > now:",
        "if False:",
        UNIT + "test_chunk_claims.py::test_a_chunk_that_somebody_holds_waits_until_the_claim_lapses",
    ),
    Guard(
        "A worker that was overtaken sends nothing more.",
        "shared/runs/store.py",
        "return replace(chunk, etag=self._chunks.write(Write(chunk, *self._chunk_keys(chunk), chunk.etag)))",
        "self._chunks.put(chunk, *self._chunk_keys(chunk))\n        return chunk",
        UNIT + "test_chunk_claims.py::test_who_was_overtaken_sends_nothing_more",
    ),
    Guard(
        "Nothing is sent for a run that is over.",
        "shared/send.py",
        'raise ClaimLostError("The run is over.")',
        "pass",
        UNIT + "test_chunk_claims.py::test_nothing_goes_out_for_a_run_that_is_over",
    ),
    Guard(
        "A chunk is not sent before its stage is open.",
        "shared/send.py",
        "and message.stage <= run.stage",
        "and True",
        UNIT + "test_chunk_claims.py::test_a_chunk_is_sent_in_its_stage_of_its_run_and_plan",
    ),
    Guard(
        "A stage opens when those before it are done.",
        "shared/runs/reconcile.py",
        "lowest = min(open_stage.values(), default=LAST_STAGE + 1)",
        "lowest = max(open_stage.values(), default=LAST_STAGE + 1)",
        UNIT + "test_reconcile.py::test_nothing_is_sent_beyond_the_lowest_open_stage",
    ),
    Guard(
        "No request goes out before Retry-After has passed.",
        "shared/dataverse/pace.py",
        "if now < self.not_before:\n",
        "if False:\n",
        UNIT + "test_dataverse_limiter.py::test_retry_after_is_a_floor_for_every_request",
    ),
    Guard(
        "Rows of a call that somebody may have sent before are uncertain, though they were refused now.",
        "shared/outcomes.py",
        "uncertain = fault.uncertain or place < self._interrupted",
        "uncertain = fault.uncertain",
        UNIT + "test_chunk_claims.py::test_who_takes_over_goes_on_where_the_outcome_is_not_known",
    ),
    Guard(
        "Copies of the message of a chunk that was put off are put off too.",
        "shared/send.py",
        'owner="", lease_until=at, trouble=trouble',
        'owner="", lease_until=None, trouble=trouble',
        UNIT + "test_chunk_claims.py::test_a_fault_that_may_pass_puts_the_chunk_off_for_longer_each_time",
    ),
    Guard(
        "What another worker noted of a call without an outcome is left behind.",
        "shared/outcomes.py",
        " if int(place) < chunk.sent}",
        "}",
        UNIT + "test_chunk_outcomes.py::test_what_another_worker_noted_of_rows_without_an_outcome_is_left_behind",
    ),
    # -- outcomes ------------------------------------------------------------------------------------------
    Guard(
        "Rows that were sent without an answer are uncertain.",
        "shared/delta/state.py",
        "WHEN d.place >= p.sent THEN 'uncertain'",
        "WHEN d.place >= p.sent THEN 'written'",
        UNIT + "test_delta.py::test_every_outcome_of_a_creation",
    ),
    Guard(
        "A row that an attempt without an answer may have written is uncertain, though a later one was refused.",
        "shared/delta/state.py",
        "WHEN s.mark = 'uncertain' OR r.outcome = 'uncertain' OR r.uncertain THEN 'uncertain'",
        "WHEN s.mark = 'uncertain' OR r.outcome = 'uncertain' THEN 'uncertain'",
        UNIT + "test_delta.py::test_every_outcome_of_a_change",
    ),
    Guard(
        "A removal that Dataverse refused stays in the state, and is tried again.",
        "shared/delta/state.py",
        "WHERE r.id IS NULL OR r.outcome NOT IN ('missing', 'written')",
        "WHERE r.id IS NULL OR r.outcome NOT IN ('missing', 'written', 'referenced')",
        UNIT + "test_delta.py::test_every_outcome_of_a_removal",
    ),
    Guard(
        "Rows of a plan whose outcome was never committed are uncertain.",
        "shared/delta/state.py",
        "CASE WHEN sent.id IS NULL THEN b.mark ELSE 'uncertain' END AS mark",
        "coalesce(b.mark, '') AS mark",
        UNIT + "test_delta.py::test_rows_of_a_delta_whose_outcome_was_never_committed_are_uncertain",
    ),
    Guard(
        "A task is closed when all its chunks have an outcome.",
        "shared/close.py",
        "if len(chunks) < task.chunks or any(not chunk.done for chunk in chunks):",
        "if False:",
        UNIT + "test_commits.py::test_a_task_is_closed_when_all_its_chunks_have_an_outcome_and_not_before",
    ),
    Guard(
        "A state is committed against the one that the plan was made against.",
        "shared/close.py",
        "if pointer.path != task.base_state and",
        "if False and",
        UNIT + "test_commits.py::test_a_state_that_another_run_has_committed_meanwhile_is_not_overwritten",
    ),
    Guard(
        "Of two workers that commit a state, one does.",
        "shared/runs/store.py",
        "self._state.write(Write(pointer, key(organization), row, pointer.etag))",
        "self._state.put(pointer, key(organization), row)",
        UNIT + "test_turns_of_runs.py::test_a_pointer_moves_only_from_the_version_that_was_read",
    ),
    Guard(
        "What was noted of a call without an outcome is no outcome.",
        "shared/delta/exceptions.py",
        "if int(place) < sent)",
        ")",
        UNIT + "test_delta_figures.py::test_what_was_noted_of_rows_with_an_outcome_is_read",
    ),
    Guard(
        "A row that may have been removed is another one when it comes back.",
        "shared/delta/state.py",
        "CASE WHEN r.op = 'remove' AND (r.outcome = 'uncertain' OR r.uncertain) THEN NULL ELSE s.born END AS born",
        "s.born AS born",
        UNIT + "test_births.py::test_a_row_that_may_have_been_removed_is_born_again",
    ),
    # -- messages that nobody could serve ------------------------------------------------------------------
    Guard(
        "A dead letter ends its chunk.",
        "shared/send.py",
        "    services.store.conclude_chunk(replace(chunk, failure=reason))\n",
        "",
        UNIT + "test_given_up.py::test_a_dead_chunk_ends_as_it_is_and_its_task_fails_and_closes",
    ),
    Guard(
        "A dead letter ends no chunk that somebody holds.",
        "shared/send.py",
        "if chunk.lease_until is not None and chunk.lease_until > services.clock.now():",
        "if False:",
        UNIT + "test_given_up.py::test_a_dead_chunk_that_somebody_holds_is_left_to_them",
    ),
    Guard(
        "A poison message is dropped.",
        "shared/runs/messages.py",
        "A message of the chunk queues is not one of this app: {fault!r}.",
        "{fault!r}",
        UNIT + "test_messages.py::test_a_chunk_is_no_step_and_a_step_no_chunk",
    ),
    # -- what is kept --------------------------------------------------------------------------------------
    Guard(
        "Nothing is read outside of the environment's own folder.",
        "shared/lake/location.py",
        "if named.casefold() != container.casefold():",
        "if False:",
        UNIT + "test_location.py::test_locations_outside_of_the_environment_are_refused",
    ),
    Guard(
        "A state that an open run was planned against is not deleted.",
        "shared/runs/leftovers.py",
        "        and path not in named\n",
        "",
        UNIT + "test_leftovers.py::test_old_states_go_unless_somebody_names_or_writes_them",
    ),
)
