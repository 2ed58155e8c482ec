# METADATA
# title: Lookup
# description: Finds product, dataset and agreements in a bundle's catalog and decides with the library, for an OPA that is no agent.
package mesh_opa.access

import data.mesh_opa.catalog

# METADATA
# title: The decision
# description: What the domain's agents decide for this subject, purpose, product, dataset and instant.
# entrypoint: true
default decision := {
	"allow": false,
	"reasons": ["policy.error"],
	"masks": {},
	"rows": [],
	"limits": {},
	"valid_until": null,
}

decision := denied("purpose.missing") if {
	well_formed
	input.purpose == ""
} else := denied("purpose.unknown") if {
	well_formed
	not purpose_known
} else := denied("dataset.not_found") if {
	well_formed
	not dataset_known
} else := first_allowing if {
	well_formed
	plain
} else := decided[0] if {
	well_formed
	plain
}

# A key that is missing, or that nobody here knows, is no question that this can answer.
well_formed if {
	object.keys(input) == {"dataset", "now", "product", "purpose", "subject"}
	object.keys(input.subject) == {"id", "kind", "teams"}
	input.subject.kind in {"agent", "service", "user"}
	is_array(input.subject.teams)
	every text in texts { is_string(text) }
}

texts := array.concat(
	[input.dataset, input.now, input.product, input.purpose, input.subject.id],
	input.subject.teams,
)

# Agents decide on plain texts only, as engines differ on others.
plain if {
	every text in array.concat([input.now, input.subject.id], input.subject.teams) {
		not regex.match(`["\\\x00-\x1f]`, text)
	}
}

purpose_known if input.purpose in catalog.purposes

dataset_known if catalog.products[input.product].datasets[input.dataset]

classes := catalog.products[input.product].datasets[input.dataset].classes

consumers := {concat(":", [input.subject.kind, input.subject.id])} | {concat(":", ["team", team]) |
	some team in input.subject.teams
}

# By rank: the order in which agents try agreements is worked out where the catalog is made.
found[agreement.rank] := agreement if {
	some consumer in consumers
	some agreement in catalog.agreements[input.product][consumer]
}

ranks := sort([rank | some rank, _ in found])

# One whose role the contract no longer has is passed over, as if it were not there to be tried.
decided := [outcome |
	some rank in ranks
	found[rank].state != "roleless"
	outcome := outcome_of(found[rank])
] if {
	count(found) > 0
} else := [evaluated(null)]

outcome_of(agreement) := evaluated(agreement.document) if {
	agreement.state == "decidable"
} else := denied("policy.error")

allowing := [outcome | some outcome in decided; outcome.allow]

first_allowing := allowing[0]

# Whatever is undefined, or is no decision, denies.
evaluated(agreement) := outcome if {
	is_array(classes)
	outcome := data.mesh.access.decision with input as {
		"action": "read",
		"now": input.now,
		"purpose": input.purpose,
		"subject": object.union(input.subject, {"teams": sort(input.subject.teams)}),
		"agent": catalog.agent,
		"product": catalog.products[input.product].document,
		"dataset": {"name": input.dataset, "classes": classes},
		"agreement": agreement,
	}
	sound(outcome)
} else := denied("policy.error")

sound(outcome) if {
	object.keys(outcome) == {"allow", "limits", "masks", "reasons", "rows", "valid_until"}
	outcome.allow == true
	outcome.reasons == []
	count(classes) > 0
	object.keys(outcome.masks) == {class.id | some class in classes}
}

sound(outcome) if {
	object.keys(outcome) == {"allow", "limits", "masks", "reasons", "rows", "valid_until"}
	outcome.allow == false
	count(outcome.reasons) > 0
	[outcome.limits, outcome.masks, outcome.rows] == [{}, {}, []]
}

denied(reason) := {
	"allow": false,
	"reasons": [reason],
	"masks": {},
	"rows": [],
	"limits": {},
	"valid_until": null,
}
