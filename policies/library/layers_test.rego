# METADATA
# title: Tests of layers
# description: What a layer may state, and that a malformed statement is noticed.
package mesh.layers_test

import data.mesh.layers

test_absent_layers_are_sound_and_state_nothing if {
	layers.sound with input.dataset as {"classes": []}
	layers.declared == set()
	layers.met == set()
	layers.masks == set()
	layers.rows == set()
	layers.limits == {}
	layers.valid_until == set()
}

test_the_fewest_rows_win if layers.strictest({{"rows": 20}, {"rows": 9}, {"rows": 100}}) == {"rows": 9}

test_the_largest_group_wins if layers.strictest({{"group": 5}, {"group": 20}, {"group": 10}}) == {"group": 20}

test_rows_and_group_are_limits_of_their_own if {
	layers.strictest({{"rows": 20}, {"group": 5}, {"rows": 10}}) == {"rows": 10, "group": 5}
}

test_a_mask_names_its_class_mask_and_rule if {
	layers.are_masks({{"rule": "domain.a", "class": "c0", "mask": "null"}}, {"c0"})
}

test_malformed_masks_are_noticed if {
	count({1 | layers.are_masks({{"rule": "domain.a", "class": "c9", "mask": "null"}}, {"c0"})}) == 0
	count({1 | layers.are_masks({{"rule": "domain.a", "class": "c0", "mask": "blur"}}, {"c0"})}) == 0
	count({1 | layers.are_masks({{"rule": "library.a", "class": "c0", "mask": "null"}}, {"c0"})}) == 0
	count({1 | layers.are_masks({{"rule": "domain.a", "class": "c0"}}, {"c0"})}) == 0
}

test_a_row_names_its_filter_and_rule if {
	layers.are_rows({{"rule": "organisation.a", "filter": {"column": "a", "op": "eq", "value": 1}}})
}

test_malformed_rows_are_noticed if {
	count({1 | layers.are_rows({{"rule": "a", "filter": {}}})}) == 0
	count({1 | layers.are_rows({{"rule": "domain.a"}})}) == 0
}

test_a_limit_is_a_number_of_rows if layers.are_limits({{"rows": 1}, {"rows": 1000}})

test_a_limit_is_the_size_of_a_group if layers.are_limits({{"group": 2}, {"group": 1000}, {"rows": 1}})

test_malformed_limits_are_noticed if {
	count({1 | layers.are_limits({{"rows": 0}})}) == 0
	count({1 | layers.are_limits({{"rows": "5"}})}) == 0
	count({1 | layers.are_limits({{"bytes": 5}})}) == 0
	count({1 | layers.are_limits({{"group": 1}})}) == 0
	count({1 | layers.are_limits({{"group": "5"}})}) == 0
	count({1 | layers.are_limits({{"group": 1000000000}})}) == 0
	count({1 | layers.are_limits({{"rows": 5, "group": 5}})}) == 0
}

test_an_end_is_an_instant if layers.are_instants({"2026-12-01T00:00:00Z"})

test_malformed_ends_are_noticed if {
	count({1 | layers.are_instants({"2026-12-01T00:00:00Z", "soon"})}) == 0
}
