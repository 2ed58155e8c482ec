# METADATA
# title: Access
# description: Decides one read of one dataset for one purpose; all it looks at is in the input.
# schemas:
#   - input: schema.input
package mesh.access

import data.mesh.layers
import data.mesh.masks

# METADATA
# title: The decision
# description: Allows when every declared requirement is met, else denies with each one that is not.
# entrypoint: true
decision := {
	"allow": true,
	"reasons": [],
	"masks": masks.chosen,
	"rows": [row | some row in (role_rows | layers.rows)],
	"limits": layers.limits,
	"valid_until": valid_until,
} if {
	count(unmet) == 0
}

decision := {
	"allow": false,
	"reasons": sort([id | some id in (unmet - hidden)]),
	"masks": {},
	"rows": [],
	"limits": {},
	"valid_until": valid_until,
} if {
	count(unmet) > 0
}

# Declared apart from the rules: a requirement whose rule fails or is undefined still denies.
declared := {
	"agreement.expired",
	"agreement.missing",
	"agreement.revoked",
	"column.unclassified",
	"contract.inactive",
	"dataset.uncovered",
	"policy.error",
	"purpose.mismatch",
	"purpose.not_allowed",
}

# Each layer answers for its own requirements: none can meet the library's.
unmet := (declared - {id | require[id] == true}) | (layers.declared - layers.met)

# What an agreement says is no reason while there is none.
hidden := {id |
	"agreement.missing" in unmet
	some id in {"agreement.expired", "agreement.revoked", "dataset.uncovered", "purpose.mismatch"}
}

# METADATA
# title: agreement.missing
# description: No agreement of this consumer covers this product now.
require["agreement.missing"] if {
	input.agreement.consumer in consumers
	input.agreement.domain == input.product.domain
	input.agreement.product == input.product.name
	input.agreement.state in {"active", "expired", "revoked"}
	start <= now
}

# METADATA
# title: agreement.expired
# description: The agreement is past its end.
require["agreement.expired"] if {
	input.agreement.state != "expired"
	now < until
}

# METADATA
# title: agreement.revoked
# description: The agreement was revoked.
require["agreement.revoked"] if input.agreement.state != "revoked"

# METADATA
# title: purpose.mismatch
# description: The agreement is for another purpose than the one this read names.
require["purpose.mismatch"] if input.agreement.purpose == input.purpose

# METADATA
# title: purpose.not_allowed
# description: The contract does not allow this purpose.
require["purpose.not_allowed"] if count(input.product.purposes) == 0

require["purpose.not_allowed"] if input.purpose in input.product.purposes

# METADATA
# title: contract.inactive
# description: The contract's status does not allow reads; active and deprecated contracts are readable.
require["contract.inactive"] if input.product.status in {"active", "deprecated"}

# METADATA
# title: dataset.uncovered
# description: The agreement does not cover this dataset.
require["dataset.uncovered"] if input.dataset.name in input.agreement.datasets

# METADATA
# title: column.unclassified
# description: A column of the dataset has no known classification, or the dataset has no columns.
require["column.unclassified"] if {
	count(input.dataset.classes) > 0
	count(masks.classified) == count(input.dataset.classes)
}

# METADATA
# title: policy.error
# description: The input is malformed, or a layer of the policy stated something that can't be applied.
require["policy.error"] if {
	input.action == "read"
	now
	role_stated
	count(masks.chosen) == count(masks.classified)
	layers.sound
}

# Whole seconds in UTC: such texts sort as the instants do, so they are compared as texts.
instant := "[0-9][0-9][0-9][0-9]-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z"

now := input.now if glob.match(instant, [], input.now)

start := input.agreement.start if glob.match(instant, [], input.agreement.start)

until := input.agreement.until if glob.match(instant, [], input.agreement.until)

# An agreement names users, services and teams; another kind of subject has its teams only.
consumers := {sprintf("%s:%s", [input.subject.kind, input.subject.id]) |
	input.subject.kind in {"service", "user"}
} | {sprintf("team:%s", [team]) | some team in input.subject.teams}

# METADATA
# title: library.role
# description: The rows that the role of the agreement may see, as the contract filters them.
role_rows := {{"rule": "library.role", "filter": input.agreement.row_filter} | is_object(input.agreement.row_filter)}

# A filter that is missing is not the same as none.
role_stated if is_object(input.agreement.row_filter)

role_stated if is_null(input.agreement.row_filter)

role_stated if is_null(input.agreement)

# The earliest instant at which time alone may change the answer.
default valid_until := null

valid_until := min(turns) if count(turns) > 0

turns := (layers.valid_until | {start | now < start}) | {until | now < until}
