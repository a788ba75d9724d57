"""Real processes and real faults. Each fault that every release survives, and the tests that stand for it.

    kill -9 at random and at every named failpoint
        test_kill.py::test_kill_9_of_an_agent_at_every_named_failpoint
        test_kill.py::test_kill_9_of_the_hub_at_every_named_failpoint
        test_kill.py::test_kill_9_of_agent_and_hub_at_every_named_failpoint_behind_a_broker
        test_kill.py::test_kill_9_of_an_agent_at_random
        test_kill.py::test_kill_9_of_the_hub_at_random
        test_federation.py::test_kill_9_of_a_region_at_every_named_failpoint
        test_federation.py::test_kill_9_of_a_root_or_a_region_at_random
        test_brokers.py::test_kill_9_of_broker_hub_and_agents_at_random
        test_alone.py::test_kill_9_over_and_over_leaves_one_copy_of_each_service
    power loss, torn sectors
        test_power.py::test_power_loss_loses_nothing_acknowledged_and_leaves_every_file_whole
        test_power.py::test_power_loss_of_a_device_loses_nothing_that_its_workloads_were_told_is_kept
        test_power.py::test_power_loss_of_the_hub_loses_nothing_that_it_acknowledged
    EIO, ENOSPC
        test_disks.py::test_eio_acks_nothing_stops_nothing_and_heals
        test_disks.py::test_enospc_at_the_device_acks_nothing_stops_nothing_and_heals
        test_disks.py::test_enospc_when_an_agent_starts_is_said_and_its_work_goes_on
        test_disks.py::test_enospc_at_the_hub_acks_nothing_and_heals
    bit flip, truncation, lost -wal
        test_damage.py::test_bit_flip_truncation_of_a_device_is_recovered_and_its_work_runs_on
        test_damage.py::test_bit_flip_of_a_hub_is_recovered_refilled_and_waits_for_its_operator
    old copy restored, or cloned
        test_copies.py::test_old_copy_restored_of_a_hub_rolls_no_device_back_and_takes_over_when_told
        test_copies.py::test_old_copy_restored_of_a_device_is_noticed_and_nothing_is_taken_twice
        test_copies.py::test_old_copy_restored_of_a_device_much_older_resumes_by_itself_with_an_alarm
        test_copies.py::test_cloned_data_directory_is_quarantined_with_the_first
        test_federation.py::test_old_copy_restored_of_a_region_is_noticed_above_and_below_and_nothing_is_doubled
    broker killed, all its state lost; hub restarts behind it
        test_brokers.py::test_broker_killed_all_its_state_lost
        test_brokers.py::test_hub_restarts_behind_its_broker
    drop, duplicate, reorder, delay
        test_links.py::test_drop_duplicate_reorder_delay
    full, one-way, flapping, 30-day partition
        test_links.py::test_full_one_way_flapping_partition
        test_federation.py::test_full_partition_of_a_region_with_everything_going_on
        test_month_away.py::test_a_month_away_stays_within_64_mb_keeps_audit_and_state_and_declares_its_metrics_to_the_row
        tests/unit/link/test_absence.py::test_a_child_that_was_away_for_a_month_goes_on_where_it_stood
    slow link with a large backlog
        test_links.py::test_slow_link_with_a_large_backlog
        test_federation.py::test_slow_link_with_a_large_backlog_at_a_region
    zombie session, late will
        test_zombies.py::test_zombie_session
        test_zombies.py::test_late_will
    wall clock ±400 days, jumping, no RTC
        test_clocks.py::test_wall_clock_400_days_jumping_no_rtc
        test_clocks.py::test_wall_clock_400_days_off_loses_nothing_and_keeps_its_order
    certificate, intermediate or root expired while away
        test_clocks.py::test_certificate_expired_while_away_is_renewed_by_itself_and_work_goes_on
        test_clocks.py::test_with_an_expired_certificate_nothing_but_renewal_is_served
        test_papers.py::test_certificate_expired_while_away_from_a_broker_is_renewed_by_itself_and_work_goes_on
        test_regions.py::test_intermediate_expired_while_its_region_was_off_is_renewed_by_itself_and_work_goes_on
        test_regions.py::test_intermediate_expired_while_its_region_was_cut_off_stops_nothing_there
    revoked while connected
        test_revoke.py::test_revoked_while_connected_is_cut_off_at_once_and_its_work_goes_on
        test_revoke.py::test_revoked_while_connected_has_tickets_that_open_no_artifact
        test_revoke.py::test_revoked_while_away_is_told_when_it_comes_back
        test_papers.py::test_revoked_while_away_from_a_broker_is_told_shows_it_and_stops_asking
        test_papers.py::test_revoked_while_away_from_a_broker_is_told_shows_it_and_stops_asking
    a certificate of a sibling region used to connect
        test_federation.py::test_certificate_of_a_sibling_region_opens_no_other_door
    a loop of parents, two hubs of one name
        test_regions.py::test_loop_of_parents_is_refused_by_name
        test_regions.py::test_loop_of_parents_made_by_hand_lets_nobody_in_and_stops_no_work
        test_regions.py::test_two_hubs_of_one_name_are_not_below_one_root_and_the_first_goes_on
    old, forged, tampered, retained document
        test_documents.py::test_old_forged_tampered_retained_document
    `#`, foreign topic, huge packet, QoS 2 flood, slow-loris
        test_front_door.py::test_foreign_topic_huge_packet_qos_2_flood_and_garbage_are_denied_and_a_neighbour_loses_nothing
        test_front_door.py::test_slow_loris_holds_nobody_up
    thousands reconnect at once
        test_storm.py::test_thousands_reconnect_at_once
        (and `make bench ONLY=storm`, with its figures)
    crash between START, effect, END
        test_alone.py::test_crash_between_start_effect_end_counts_a_step_that_ended_meanwhile_and_runs_it_once
        test_alone.py::test_crash_between_start_effect_end_fails_the_run_of_a_step_that_may_not_be_repeated
        test_alone.py::test_crash_between_start_effect_end_leaves_a_task_unknown_and_not_run_again
        test_alone.py::test_a_device_that_reboots_with_no_hub_runs_its_work_again
    installed, upgraded, removed and purged on a clean Debian, with reboots and power cuts in between
        test_install.py::test_installed_by_one_command_it_survives_all_that_a_device_meets_and_leaves_nothing
        test_install.py::test_installed_by_one_command_or_not_at_all
        test_install.py::test_installed_as_a_package_a_hub_serves_starts_again_and_leaves_nothing
        test_install.py::test_installed_on_another_machine_it_enrolls_runs_work_and_syncs
        test_install_stick.py::test_installed_from_a_stick_it_works_with_no_network_and_enrolls_when_it_has_one
    a launcher that cannot start
        test_units.py::test_a_launcher_that_cannot_start_is_tried_seldom_and_for_ever
        tests/contract/shell/test_patience.py::test_one_that_ends_at_once_is_asked_ever_more_seldom_and_for_ever
        tests/contract/shell/test_patience.py::test_what_was_asked_while_it_could_not_start_is_done_once_it_can
    another version of an agent, good, broken, and cut off by power while it is tried
        test_upgrade.py::test_a_version_comes_in_place_of_another_and_one_that_is_broken_goes_back
        test_upgrade.py::test_power_cuts_in_a_trial_leave_an_agent_that_works_and_end_it
    another version of a hub, good, broken, deaf, and cut off by power while it is tried
        test_upgrade_hub.py::test_a_version_comes_in_place_of_another_and_one_that_is_not_well_goes_back
        test_upgrade_hub.py::test_power_cuts_in_a_trial_leave_a_hub_that_works_and_end_it
    no space to install, or for an upgrade
        test_install.py::test_installed_by_one_command_or_not_at_all
        tests/contract/api/test_install_odd.py::test_no_space_or_a_wrong_architecture_is_told_before_anything_is_fetched
        tests/contract/agent/test_upgrade_space.py::test_no_space_for_an_upgrade_changes_nothing_and_room_lets_it_go_on
    a wrong architecture, or another Debian
        tests/contract/api/test_install_odd.py::test_no_space_or_a_wrong_architecture_is_told_before_anything_is_fetched
        test_install.py::test_installed_by_one_command_or_not_at_all
        tests/contract/agent/test_upgrade_packages.py::test_what_does_not_fit_is_refused_before_anything_is_done
    a token of another hub
        tests/contract/api/test_install_odd.py::test_a_token_of_another_hub_is_refused_before_anything_is_done
        tests/contract/agent/test_enrollment.py::test_mistakes_are_told_clearly_and_leave_nothing
    a device whose clock says 1970 when it is installed
        tests/contract/api/test_install_odd.py::test_a_device_whose_clock_says_1970_is_installed_and_enrolled
        test_clocks.py::test_certificate_expired_while_away_is_renewed_by_itself_and_work_goes_on
    a machine-id cloned with its disk image, before and after it was enrolled
        tests/contract/api/test_install_odd.py::test_a_disk_image_that_was_cloned_before_it_was_enrolled_makes_two_devices
        tests/contract/carrying/test_one_stick_twice.py::test_an_image_that_was_cloned_with_what_its_stick_prepared_is_noticed_at_both
        tests/contract/carrying/test_one_stick_twice.py::test_one_stick_that_was_used_at_two_devices_makes_one_and_tells_the_other
        test_copies.py::test_cloned_data_directory_is_quarantined_with_the_first
    an agent, or its unit, started twice
        tests/contract/agent/test_daemon.py::test_a_second_agent_in_the_same_directory_names_the_first
        test_install.py::test_installed_by_one_command_it_survives_all_that_a_device_meets_and_leaves_nothing
    a package half copied, or changed on its way
        tests/contract/api/test_install.py::test_half_a_package_is_offered_to_nobody
        tests/contract/api/test_install_odd.py::test_what_changed_on_its_way_or_at_the_hub_is_not_installed
        tests/contract/carrying/test_installer.py::test_a_package_that_was_copied_half_is_not_installed
        test_install_stick.py::test_installed_from_a_stick_it_works_with_no_network_and_enrolls_when_it_has_one
    a stick pulled out
        tests/contract/carrying/test_pulled_out.py::test_a_stick_that_is_not_there_any_more_is_told_and_once_it_is_back_all_goes_on
        tests/contract/carrying/test_pulled_out.py::test_pulled_out_in_the_middle_it_holds_nothing_that_is_taken_for_whole
        tests/contract/carrying/test_installer.py::test_a_stick_that_is_pulled_out_is_told_and_nothing_is_installed
    an installer broken off at any step
        tests/contract/api/test_install_steps.py::test_broken_off_at_each_step_it_leaves_nothing_and_again_it_goes_on
        tests/contract/carrying/test_installer_steps.py::test_broken_off_at_each_step_it_leaves_nothing_until_work_may_run
        tests/contract/api/test_install_steps.py::test_what_fails_after_the_enrollment_takes_back_nothing
        tests/contract/api/test_install.py::test_what_was_here_before_a_failure_is_never_taken_back
    version skew by one release either way
        test_federation.py::test_version_skew_between_a_root_and_a_region_is_shown_and_they_interoperate
        test_regions.py::test_version_skew_of_a_region_too_new_for_what_is_installed_is_refused_clearly

Deliberately absent: migrations, for there is no second release yet. The histories of these runs are judged by the
simulator's own checkers (`record`).
"""
