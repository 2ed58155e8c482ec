# METADATA
# title: Tests of the clock
# description: Days and times of instants in UTC.
package mesh.clock_test

import data.mesh.clock

test_the_day_of_the_week if {
	clock.weekday("2026-11-24T22:00:00Z") == "Tuesday"
	clock.weekday("2024-02-29T00:00:00Z") == "Thursday"
}

test_the_time_of_day if clock.time_of_day("2026-11-24T22:05:09Z") == "22:05:09"

test_a_time_of_the_same_day if clock.today_at("2026-11-24T22:05:09Z", "08:00:00") == "2026-11-24T08:00:00Z"

test_the_end_of_the_day if clock.midnight("2026-11-24T22:05:09Z") == "2026-11-24T23:59:59Z"
