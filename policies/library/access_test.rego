# METADATA
# title: Tests of access
# description: Reads that are allowed, and each reason to deny.
package mesh.access_test

import data.mesh.access

an_active_agreement_allows := {
	"allow": true,
	"reasons": [],
	"masks": {
		"c0": {"mask": "null", "rules": ["library.undeclared"]},
		"c1": {"mask": "clear", "rules": ["library.classification"]},
	},
	"rows": [{"rule": "library.role", "filter": {"column": "origin", "op": "eq", "value": "JFK"}}],
	"limits": {},
	"valid_until": "2026-12-01T00:00:00Z",
}

test_an_active_agreement_allows if {
	access.decision == an_active_agreement_allows with input.action as "read"
		with input.now as "2026-11-24T22:00:00Z"
		with input.purpose as "crew-planning"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.agent as {"domain": "bookings", "id": "bookings-1"}
		with input.product as {
			"domain": "bookings", "name": "reservations", "version": "1.0.0", "status": "active",
			"purposes": ["crew-planning"], "residency": null, "legal_basis": null,
		}
		with input.dataset as {"name": "passengers", "classes": [
			{"id": "c0", "classification": "confidential", "category": null, "tags": [], "mask": null},
			{"id": "c1", "classification": "public", "category": null, "tags": [], "mask": null},
		]}
		with input.agreement as {
			"id": "a", "consumer": "user:ana", "domain": "bookings", "product": "reservations",
			"purpose": "crew-planning", "role": "analyst", "datasets": ["passengers"], "state": "active",
			"start": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z",
			"row_filter": {"column": "origin", "op": "eq", "value": "JFK"},
		}
}

a_team_reads_every_row_of_a_deprecated_product_for_any_purpose := {
	"allow": true,
	"reasons": [],
	"masks": {"c0": {"mask": "clear", "rules": ["library.classification"]}},
	"rows": [],
	"limits": {},
	"valid_until": "2026-12-01T00:00:00Z",
}

test_a_team_reads_every_row_of_a_deprecated_product_for_any_purpose if {
	access.decision == a_team_reads_every_row_of_a_deprecated_product_for_any_purpose with input.action as "read"
		with input.now as "2026-11-01T00:00:00Z"
		with input.purpose as "crew-planning"
		with input.subject as {"kind": "service", "id": "rota", "teams": ["crew", "ops"]}
		with input.agent as {"domain": "bookings", "id": "bookings-1"}
		with input.product as {
			"domain": "bookings", "name": "reservations", "version": "1.0.0", "status": "deprecated",
			"purposes": [], "residency": null, "legal_basis": null,
		}
		with input.dataset as {"name": "routes", "classes": [
			{"id": "c0", "classification": "internal", "category": null, "tags": [], "mask": null},
		]}
		with input.agreement as {
			"id": "a", "consumer": "team:ops", "domain": "bookings", "product": "reservations",
			"purpose": "crew-planning", "role": "analyst", "datasets": ["passengers", "routes"], "state": "active",
			"start": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z", "row_filter": null,
		}
}

without_an_agreement_only_its_absence_is_a_reason := {
	"allow": false, "reasons": ["agreement.missing"],
	"masks": {}, "rows": [], "limits": {}, "valid_until": null,
}

test_without_an_agreement_only_its_absence_is_a_reason if {
	access.decision == without_an_agreement_only_its_absence_is_a_reason with input.action as "read"
		with input.now as "2026-11-24T22:00:00Z"
		with input.purpose as "crew-planning"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.agent as {"domain": "bookings", "id": "bookings-1"}
		with input.product as {
			"domain": "bookings", "name": "reservations", "version": "1.0.0", "status": "active",
			"purposes": [], "residency": null, "legal_basis": null,
		}
		with input.dataset as {"name": "routes", "classes": [
			{"id": "c0", "classification": "public", "category": null, "tags": [], "mask": null},
		]}
		with input.agreement as null
}

test_an_empty_input_is_denied if {
	access.decision.reasons == [
		"agreement.missing",
		"column.unclassified",
		"contract.inactive",
		"policy.error",
		"purpose.not_allowed",
	]
}

test_somebody_elses_agreement_is_none if {
	"agreement.missing" in access.unmet with input.now as "2026-11-24T22:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.product as {"domain": "bookings", "name": "reservations"}
		with input.agreement as {
			"consumer": "user:bea", "domain": "bookings", "product": "reservations",
			"state": "active", "start": "2026-11-01T00:00:00Z",
		}
}

test_a_service_is_not_the_user_of_its_name if {
	access.consumers == {"service:ana", "team:ops"} with input.subject as {"kind": "service", "id": "ana", "teams": ["ops"]}
}

test_no_kind_of_subject_can_pose_as_a_team if {
	access.consumers == set() with input.subject as {"kind": "team", "id": "ops", "teams": []}
}

an_agreement_that_has_not_begun_is_missing_until_it_does := {
	"allow": false, "reasons": ["agreement.missing"],
	"masks": {}, "rows": [], "limits": {}, "valid_until": "2026-11-01T00:00:00Z",
}

test_an_agreement_that_has_not_begun_is_missing_until_it_does if {
	access.decision == an_agreement_that_has_not_begun_is_missing_until_it_does with input.action as "read"
		with input.now as "2026-10-31T23:59:59Z"
		with input.purpose as "crew-planning"
		with input.subject as {"kind": "user", "id": "ana", "teams": []}
		with input.agent as {"domain": "bookings", "id": "bookings-1"}
		with input.product as {
			"domain": "bookings", "name": "reservations", "version": "1.0.0", "status": "active",
			"purposes": [], "residency": null, "legal_basis": null,
		}
		with input.dataset as {"name": "routes", "classes": [
			{"id": "c0", "classification": "public", "category": null, "tags": [], "mask": null},
		]}
		with input.agreement as {
			"id": "a", "consumer": "user:ana", "domain": "bookings", "product": "reservations",
			"purpose": "crew-planning", "role": "analyst", "datasets": ["routes"], "state": "active",
			"start": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z", "row_filter": null,
		}
}

test_an_agreement_ends_at_its_end if {
	"agreement.expired" in access.unmet with input.now as "2026-12-01T00:00:00Z"
		with input.agreement as {"state": "active", "until": "2026-12-01T00:00:00Z"}
}

test_a_revoked_agreement_denies if {
	"agreement.revoked" in access.unmet with input.agreement as {"state": "revoked"}
}

test_another_purpose_than_the_agreements_denies if {
	"purpose.mismatch" in access.unmet with input.purpose as "a"
		with input.agreement as {"purpose": "b"}
}

test_a_purpose_that_the_contract_does_not_list_denies if {
	"purpose.not_allowed" in access.unmet with input.purpose as "a"
		with input.product as {"purposes": ["b"]}
}

test_a_retired_contract_denies if {
	"contract.inactive" in access.unmet with input.product as {"status": "retired"}
}

test_a_dataset_outside_the_agreement_denies if {
	"dataset.uncovered" in access.unmet with input.dataset as {"name": "a"}
		with input.agreement as {"datasets": ["b"]}
}

test_an_unknown_classification_denies if {
	"column.unclassified" in access.unmet with input.dataset as {"classes": [
		{"id": "c0", "classification": "public", "mask": null},
		{"id": "c1", "classification": "secret", "mask": null},
	]}
}

test_a_dataset_without_columns_denies if {
	"column.unclassified" in access.unmet with input.dataset as {"classes": []}
}

test_an_unknown_mask_denies if {
	"policy.error" in access.unmet with input.action as "read"
		with input.now as "2026-11-24T22:00:00Z"
		with input.dataset as {"classes": [{"id": "c0", "classification": "public", "mask": "blur"}]}
		with input.agreement as null
}

test_a_malformed_now_denies if {
	"policy.error" in access.unmet with input.action as "read"
		with input.now as "2026-11-24T22:00:00+00:00"
		with input.dataset as {"classes": [{"id": "c0", "classification": "public", "mask": null}]}
		with input.agreement as null
}

test_a_filter_that_is_not_stated_denies if {
	"policy.error" in access.unmet with input.action as "read"
		with input.now as "2026-11-24T22:00:00Z"
		with input.dataset as {"classes": [{"id": "c0", "classification": "public", "mask": null}]}
		with input.agreement as {"id": "a"}
}

test_another_domains_agreement_is_none if {
	"agreement.missing" in access.unmet with input.now as "2026-11-24T22:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.product as {"domain": "bookings", "name": "reservations"}
		with input.agreement as {
			"consumer": "user:ana", "domain": "fleet", "product": "reservations",
			"state": "active", "start": "2026-11-01T00:00:00Z",
		}
}

test_another_products_agreement_is_none if {
	"agreement.missing" in access.unmet with input.now as "2026-11-24T22:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.product as {"domain": "bookings", "name": "reservations"}
		with input.agreement as {
			"consumer": "user:ana", "domain": "bookings", "product": "loyalty",
			"state": "active", "start": "2026-11-01T00:00:00Z",
		}
}

test_an_agreement_that_was_never_active_is_none if {
	"agreement.missing" in access.unmet with input.now as "2026-11-24T22:00:00Z"
		with input.subject as {"kind": "user", "id": "ana", "teams": ["ops"]}
		with input.product as {"domain": "bookings", "name": "reservations"}
		with input.agreement as {
			"consumer": "user:ana", "domain": "bookings", "product": "reservations",
			"state": "requested", "start": "2026-11-01T00:00:00Z",
		}
}

test_an_agreement_recorded_as_expired_denies_whatever_its_end if {
	"agreement.expired" in access.unmet with input.now as "2026-11-24T22:00:00Z"
		with input.agreement as {"state": "expired", "until": "2026-12-01T00:00:00Z"}
}

test_another_action_than_reading_denies if {
	"policy.error" in access.unmet with input.action as "write"
		with input.now as "2026-11-24T22:00:00Z"
		with input.dataset as {"classes": [{"id": "c0", "classification": "public", "mask": null}]}
		with input.agreement as null
}
