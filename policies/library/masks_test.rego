# METADATA
# title: Tests of masks
# description: The mask of each kind of column, and what a layer makes of it.
package mesh.masks_test

import data.mesh.masks

test_undeclared_masks_follow_the_classification if {
	masks.chosen == {
		"c0": {"mask": "clear", "rules": ["library.classification"]},
		"c1": {"mask": "clear", "rules": ["library.classification"]},
		"c2": {"mask": "null", "rules": ["library.undeclared"]},
		"c3": {"mask": "drop", "rules": ["library.undeclared"]},
	} with input.dataset as {"classes": [
		{"id": "c0", "classification": "public", "mask": null},
		{"id": "c1", "classification": "internal", "mask": null},
		{"id": "c2", "classification": "confidential", "mask": null},
		{"id": "c3", "classification": "restricted", "mask": null},
	]}
}

test_a_declared_mask_counts_when_it_is_stricter_than_the_floor if {
	masks.chosen == {
		"c0": {"mask": "partial", "rules": ["library.contract"]},
		"c1": {"mask": "generalise", "rules": ["library.classification"]},
		"c2": {"mask": "pseudonym", "rules": ["library.classification", "library.contract"]},
	} with input.dataset as {"classes": [
		{"id": "c0", "classification": "confidential", "mask": "partial"},
		{"id": "c1", "classification": "confidential", "mask": "clear"},
		{"id": "c2", "classification": "restricted", "mask": "pseudonym"},
	]}
}

test_an_unknown_mask_or_classification_gets_no_mask if {
	masks.chosen == {} with input.dataset as {"classes": [
		{"id": "c0", "classification": "public", "mask": "blur"},
		{"id": "c1", "classification": "secret", "mask": "clear"},
		{"id": "c2", "classification": "secret", "mask": null},
	]}
}

test_a_layer_strengthens if {
	masks.strengthened({"mask": "partial", "rules": ["library.contract"]}, [
		{"rule": "organisation.b", "class": "c0", "mask": "null"},
		{"rule": "domain.a", "class": "c0", "mask": "null"},
		{"rule": "domain.c", "class": "c0", "mask": "constant"},
	]) == {"mask": "null", "rules": ["domain.a", "organisation.b"]}
}

test_a_layer_never_weakens if {
	masks.strengthened({"mask": "null", "rules": ["library.undeclared"]}, [
		{"rule": "organisation.b", "class": "c0", "mask": "clear"},
	]) == {"mask": "null", "rules": ["library.undeclared"]}
}

test_a_layer_that_agrees_is_named_too if {
	masks.strengthened({"mask": "null", "rules": ["library.undeclared"]}, [
		{"rule": "domain.a", "class": "c0", "mask": "null"},
	]) == {"mask": "null", "rules": ["domain.a", "library.undeclared"]}
}

test_without_wishes_nothing_changes if {
	masks.strengthened({"mask": "drop", "rules": ["library.undeclared"]}, []) == {
		"mask": "drop",
		"rules": ["library.undeclared"],
	}
}

test_only_wishes_for_a_class_strengthen_it if {
	masks.merged({"c0": {"mask": "clear", "rules": ["library.classification"]}}, [
		{"rule": "domain.a", "class": "c0", "mask": "null"},
		{"rule": "domain.b", "class": "c1", "mask": "drop"},
	]) == {"c0": {"mask": "null", "rules": ["domain.a"]}}
}
