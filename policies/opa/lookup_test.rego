# METADATA
# title: Tests of the lookup
# description: Which agreement is taken, and each question that is refused before any is.
package mesh_opa.access_test

import data.mesh_opa.access

question := {
	"subject": {"kind": "user", "id": "ana", "teams": ["ops", "crew"]},
	"purpose": "crew-planning",
	"product": "reservations",
	"dataset": "passengers",
	"now": "2026-11-24T22:00:00Z",
}

classes := [{"id": "c0", "classification": "public", "category": null, "tags": [], "mask": null}]

agreement(id, consumer, datasets, state) := {
	"id": id, "consumer": consumer, "domain": "bookings", "product": "reservations",
	"purpose": "crew-planning", "role": "analyst", "datasets": datasets, "state": state,
	"start": "2026-11-01T00:00:00Z", "until": "2026-12-01T00:00:00Z",
	"row_filter": {"column": "agreement", "op": "eq", "value": id},
}

entry(rank, document) := {"rank": rank, "state": "decidable", "document": document}

catalog(agreements) := {
	"agent": {"domain": "bookings", "id": "opa:bookings"},
	"purposes": ["crew-planning", "marketing"],
	"products": {"reservations": {
		"document": {
			"domain": "bookings", "name": "reservations", "version": "1.0.0", "status": "active",
			"purposes": ["crew-planning"], "residency": null, "legal_basis": null,
		},
		"datasets": {"passengers": {"classes": classes}, "undecidable": {"classes": null}},
	}},
	"agreements": {"reservations": agreements},
}

own := {"user:ana": [entry(0, agreement("own", "user:ana", ["passengers"], "active"))]}

decided(asked, agreements) := outcome if {
	outcome := access.decision with input as asked with data.mesh_opa.catalog as catalog(agreements)
}

chosen(agreements) := {row.filter.value | some row in decided(question, agreements).rows}

reasons(asked, agreements) := outcome.reasons if {
	outcome := decided(asked, agreements)
	outcome.allow == false
}

with_subject(changed) := object.union(question, {"subject": changed})

test_an_agreement_of_ones_own_allows if decided(question, own).allow

test_its_rows_come_along if chosen(own) == {"own"}

test_a_teams_agreement_allows if {
	chosen({"team:ops": [entry(0, agreement("team", "team:ops", ["passengers"], "active"))]}) == {"team"}
}

test_the_first_by_rank_that_allows_is_taken if {
	chosen({
		"team:crew": [entry(1, agreement("second", "team:crew", ["passengers"], "active"))],
		"team:ops": [
			entry(0, agreement("first", "team:ops", ["bookings"], "active")),
			entry(2, agreement("third", "team:ops", ["passengers"], "active")),
		],
	}) == {"second"}
}

test_when_none_allows_the_first_says_why if {
	reasons(question, {"user:ana": [
		entry(0, agreement("a", "user:ana", ["bookings"], "active")),
		entry(1, agreement("b", "user:ana", ["passengers"], "revoked")),
	]}) == ["dataset.uncovered"]
}

test_somebody_else_has_none if {
	reasons(with_subject({"id": "bea", "teams": []}), own) == ["agreement.missing"]
}

test_one_without_its_role_is_passed_over if {
	chosen({"user:ana": [
		{"rank": 0, "state": "roleless", "document": null},
		entry(1, agreement("b", "user:ana", ["passengers"], "active")),
	]}) == {"b"}
}

test_one_without_its_role_gives_no_reason if {
	reasons(question, {"user:ana": [
		{"rank": 0, "state": "roleless", "document": null},
		entry(1, agreement("b", "user:ana", ["passengers"], "revoked")),
	]}) == ["agreement.revoked"]
}

test_roleless_ones_alone_deny if {
	reasons(question, {"user:ana": [{"rank": 0, "state": "roleless", "document": null}]}) == ["policy.error"]
}

test_an_undecidable_one_denies if {
	reasons(question, {"user:ana": [{"rank": 0, "state": "undecidable", "document": null}]}) == ["policy.error"]
}

test_a_purpose_is_needed if {
	reasons(object.union(question, {"purpose": ""}), own) == ["purpose.missing"]
}

test_an_unregistered_purpose_is_refused if {
	reasons(object.union(question, {"purpose": "payroll"}), own) == ["purpose.unknown"]
}

test_an_unknown_product_is_refused if {
	reasons(object.union(question, {"product": "loyalty"}), own) == ["dataset.not_found"]
}

test_an_unknown_dataset_is_refused if {
	reasons(object.union(question, {"dataset": "crews"}), own) == ["dataset.not_found"]
}

test_an_undecidable_dataset_is_refused if {
	reasons(object.union(question, {"dataset": "undecidable"}), own) == ["policy.error"]
}

test_a_text_that_engines_differ_on_is_refused if {
	reasons(with_subject({"teams": [`o"ps`]}), own) == ["policy.error"]
}

test_an_unknown_key_is_refused if {
	reasons(object.union(question, {"agreement": {}}), own) == ["policy.error"]
}

test_a_missing_key_is_refused if {
	reasons(object.remove(question, ["now"]), own) == ["policy.error"]
}

test_an_unknown_kind_is_refused if reasons(with_subject({"kind": "team", "id": "ops"}), own) == ["policy.error"]

test_a_team_that_is_no_text_is_refused if reasons(with_subject({"teams": [1]}), own) == ["policy.error"]

test_nothing_is_no_question if reasons({}, own) == ["policy.error"]

test_without_a_catalog_nothing_is_allowed if {
	outcome := access.decision with input as question with data.mesh_opa.catalog as {}
	outcome.allow == false
}

test_what_is_no_decision_denies if {
	outcome := access.decision with input as question
		with data.mesh_opa.catalog as catalog(own)
		with data.mesh.access.decision as {"allow": true}
	outcome.reasons == ["policy.error"]
}

test_a_mask_for_each_class_is_needed if {
	outcome := access.decision with input as question
		with data.mesh_opa.catalog as catalog(own)
		with data.mesh.access.decision as {
			"allow": true, "reasons": [], "masks": {}, "rows": [], "limits": {}, "valid_until": null,
		}
	outcome.reasons == ["policy.error"]
}
