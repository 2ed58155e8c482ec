# Residency. Where personal data may lie to be read.
package mesh.organisation

# METADATA
# title: organisation.residency
# description: Personal data is read only from products that keep it in a region of the list.
require["organisation.residency"] if input.product.residency in {"ch", "eu"}

# Products that state no residency are not held to it; take this out once all do.
require["organisation.residency"] if is_null(input.product.residency)

require["organisation.residency"] if count(personal) == 0

personal := {class.id |
	some class in input.dataset.classes
	class.category in {"contact", "financial", "health", "identity", "location"}
}
