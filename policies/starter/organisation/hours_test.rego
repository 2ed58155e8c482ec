# Tests of working hours. Hours and days of people, services, and columns that are not restricted.
package mesh.organisation_test

import data.mesh.organisation

hours := {id |
	organisation.require[id] == true
	id == "organisation.working_hours"
}

test_people_read_restricted_columns_on_a_working_day if {
	"organisation.working_hours" in hours with input.now as "2026-11-24T06:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "restricted", "category": "identity", "tags": [], "mask": null},
		]}
}

test_people_read_none_in_the_evening if {
	count(hours) == 0 with input.now as "2026-11-24T20:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "restricted", "category": "identity", "tags": [], "mask": null},
		]}
}

test_people_read_none_on_a_sunday if {
	count(hours) == 0 with input.now as "2026-11-29T12:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "restricted", "category": "identity", "tags": [], "mask": null},
		]}
}

test_services_read_them_at_night if {
	"organisation.working_hours" in hours with input.now as "2026-11-24T03:00:00Z"
		with input.subject as {"kind": "service", "id": "rota", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "restricted", "category": "identity", "tags": [], "mask": null},
		]}
}

test_other_columns_are_read_at_night if {
	"organisation.working_hours" in hours with input.now as "2026-11-24T03:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.dataset as {"name": "records", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": [], "mask": null},
		]}
}

test_the_answer_turns_at_opening_closing_and_midnight if {
	organisation.valid_until == {
		"2026-11-24T06:00:00Z",
		"2026-11-24T20:00:00Z",
		"2026-11-24T23:59:59Z",
	} with input.now as "2026-11-24T03:00:00Z"
}

test_what_has_passed_is_no_turn_any_more if {
	organisation.valid_until == {"2026-11-24T23:59:59Z"} with input.now as "2026-11-24T20:00:00Z"
}
