# Purposes. For which purposes the domain's sensitive datasets are read.
package mesh.domain

# METADATA
# title: domain.purpose
# description: The domain lets this dataset be read for other purposes only.
require["domain.purpose"] if input.purpose in purposes_of[input.dataset.name]

require["domain.purpose"] if not listed

listed if purposes_of[input.dataset.name]

# Datasets that are not listed are read for every purpose that their contract allows.
purposes_of := {"incidents": {"audit", "safety"}}
