"""The functions a statement may call, by group; whatever is not listed is refused.

An allowed function only computes from its arguments (or tells the time, or draws a number),
raises no message of the caller's choice, and makes no value much larger than what it was given.
A test holds this list and that of the refused ones against `duckdb_functions()`.
"""

from collections.abc import Mapping

from domain_agent.enforcement.gate.words import words

OPERATORS = words(
    """
    !~~ !~~* % & && * ** + - ->> / // << <-> <=> <@ >> @ @> ^ ^@ | || ~ ~~ ~~* ~~~
    """
)

GROUPS: Mapping[str, frozenset[str]] = {
    "operators": OPERATORS,
    "aggregates": words(
        """
        any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null
        arg_max_nulls_last arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg
        bit_and bit_or bit_xor bool_and bool_or corr count count_if count_star countif covar_pop
        covar_samp entropy favg first fsum geomean geometric_mean group_concat histogram
        histogram_exact kahan_sum kurtosis kurtosis_pop last list listagg mad max max_by mean
        median min min_by mode product quantile quantile_cont quantile_disc regr_avgx regr_avgy
        regr_count regr_intercept regr_r2 regr_slope regr_sxx regr_sxy regr_syy sem skewness
        stddev stddev_pop stddev_samp string_agg sum sumkahan var_pop var_samp variance wavg
        weighted_avg json_group_array json_group_object
        """
    ),
    "windows": words(
        """
        cume_dist dense_rank fill first_value lag last_value lead nth_value ntile percent_rank
        rank rank_dense row_number
        """
    ),
    "conditions": words("if nullif greatest least isfinite isinf isnan"),
    "numbers": words(
        """
        abs acos acosh add asin asinh atan atan2 atanh binom bit_count cbrt ceil ceiling cos cosh
        cot degrees divide even exp factorial fdiv floor fmod gamma gcd greatest_common_divisor
        lcm least_common_multiple lgamma ln log log10 log2 mod multiply nextafter pi pow power
        radians random round round_even roundbankers sign signbit sin sinh sqrt subtract tan tanh
        trunc xor
        """
    ),
    "text": words(
        """
        ascii bit_length char_length character_length chr concat concat_ws contains
        damerau_levenshtein editdist3 ends_with format_bytes hamming ilike_escape instr jaccard
        jaro_similarity jaro_winkler_similarity lcase left left_grapheme len length
        length_grapheme levenshtein like_escape lower ltrim mismatches nfc_normalize
        not_ilike_escape not_like_escape octet_length ord overlay position prefix regexp_escape
        regexp_extract regexp_extract_all regexp_full_match regexp_matches regexp_replace
        regexp_split_to_array replace reverse right right_grapheme rtrim split split_part
        starts_with str_split str_split_regex string_split string_split_regex string_to_array
        strip_accents strlen strpos substr substring substring_grapheme suffix translate trim
        ucase unicode upper
        """
    ),
    "codes": words(
        """
        base64 bin decode encode from_base64 from_binary from_hex hash hex md5 md5_number
        md5_number_lower md5_number_upper sha1 sha256 to_base64 to_binary to_hex unbin unhex
        url_decode url_encode
        """
    ),
    "dates": words(
        """
        age ago century date_add date_diff date_part date_sub date_trunc datediff datepart datesub
        datetrunc day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms
        epoch_ns epoch_us era get_current_time get_current_timestamp hour isodow isoyear julian
        last_day make_date make_time make_timestamp make_timestamp_ms make_timestamp_ns
        make_timestamptz microsecond millennium millisecond minute month monthname nanosecond now
        normalized_interval quarter second strftime strptime time_bucket timezone timezone_hour
        timezone_minute to_centuries to_days to_decades to_hours to_microseconds to_millennia
        to_milliseconds to_minutes to_months to_quarters to_seconds to_timestamp to_weeks to_years
        today transaction_timestamp try_strptime week weekday weekofyear year yearweek
        current_date current_localtime current_localtimestamp
        """
    ),
    "lists": words(
        """
        array_append array_apply array_cat array_concat array_contains array_distinct
        array_extract array_filter array_has array_has_all array_has_any array_indexof
        array_intersect array_length array_pop_back array_pop_front array_position array_prepend
        array_push_back array_push_front array_reduce array_reverse array_reverse_sort
        array_select array_slice array_sort array_to_string array_to_string_comma_default
        array_transform array_unique array_where array_zip apply cardinality filter flatten
        list_any_value list_append list_apply list_approx_count_distinct list_avg list_bit_and
        list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains
        list_count list_distinct list_element list_entropy list_extract list_filter list_first
        list_has list_has_all list_has_any list_histogram list_indexof list_intersect
        list_kurtosis list_kurtosis_pop list_last list_mad list_max list_median list_min list_mode
        list_pack list_position list_prepend list_product list_reduce list_reverse
        list_reverse_sort list_select list_sem list_skewness list_slice list_sort list_stddev_pop
        list_stddev_samp list_string_agg list_sum list_transform list_unique list_value
        list_var_pop list_var_samp list_where list_zip reduce unnest
        """
    ),
    "maps and structs": words(
        """
        element_at map map_concat map_contains map_contains_entry map_contains_value map_entries
        map_extract map_extract_value map_from_entries map_keys map_values row struct_concat
        struct_contains struct_extract struct_extract_at struct_has struct_indexof struct_insert
        struct_keys struct_pack struct_position struct_update struct_values
        """
    ),
    "json": words(
        """
        json json_array json_array_length json_contains json_exists json_extract json_extract_path
        json_extract_path_text json_extract_string json_keys json_object json_quote json_type
        json_valid json_value row_to_json to_json array_to_json
        """
    ),
}
ALLOWED: frozenset[str] = frozenset().union(*GROUPS.values())
TABLE_FUNCTIONS = frozenset({"unnest"})
NAMING_FUNCTIONS = frozenset({"struct_pack", "struct_insert", "struct_update"})
LAMBDA_FUNCTIONS = words(
    """
    apply array_apply array_filter array_reduce array_transform filter list_apply list_filter
    list_reduce list_transform reduce
    """
)
# DuckDB reads these as calls when no column has the name; they tell how the agent is built.
CALLS_WITHOUT_BRACKETS = frozenset(
    {"current_catalog", "current_role", "current_schema", "current_user", "session_user"}
)
# These too, and they only tell the time.
CLOCKS = words(
    """
    current_date current_localtime current_localtimestamp current_time current_timestamp localtime
    localtimestamp
    """
)
