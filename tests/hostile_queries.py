"""Queries that run for ever, or take all the memory there is, each in a way of its own."""

from __future__ import annotations

_DEEP = 3000
_MANY = 400

HOSTILE: dict[str, str] = {
    "a text of 2 GB": "SELECT length(repeat('x', 2000000000))",
    "a text of 4 GB by doubling": "SELECT length(repeat(repeat(repeat('ab', 1000), 1000), 2000))",
    "texts of 1 GB side by side": "SELECT length(repeat('x', 1000000000 + i)) FROM range(50) t(i)",
    "a text printed": "SELECT repeat('x', 1500000000)",
    "padding": "SELECT length(lpad('x', 2000000000, 'yz'))",
    "padding to the right": "SELECT length(rpad('x', 2000000000, 'y'))",
    "replacing grows": "SELECT length(replace(repeat('a', 40000000), 'a', repeat('b', 100)))",
    "concatenation doubled": "SELECT length(" + "||".join(["repeat('x', 300000000)"] * 9) + ")",
    "hexadecimal": "SELECT length(hex(repeat('x', 1000000000)))",
    "base64": "SELECT length(to_base64(repeat('x', 1000000000)::BLOB))",
    "printf": "SELECT length(printf('%2000000000d', 1))",
    "format": "SELECT length(format('{:>2000000000}', 'x'))",
    "string_agg": "SELECT length(string_agg(repeat('x', 1000), '')) FROM range(100000000)",
    "upper of much": (
        "SELECT count(*) FROM range(2000) t(i) WHERE upper(repeat('é', 50000000 + i)) = 'x'"
    ),
    "reverse of much": "SELECT max(length(reverse(repeat('xyz', 100000000 + i)))) FROM range(500) t(i)",
    "list_reduce": "SELECT list_reduce(range(100000000), lambda a, b: a + b)",
    "list_reduce of texts": "SELECT length(list_reduce(range(200000)::VARCHAR[], lambda a, b: a || b))",
    "list_transform": "SELECT len(list_transform(range(2000000000), lambda x: x * 2))",
    "list_transform nested": (
        "SELECT len(list_transform(range(100000), lambda x: len(list_transform(range(100000),"
        " lambda y: x * y))))"
    ),
    "list_filter": "SELECT len(list_filter(range(1000000000), lambda x: x % 3 = 0))",
    "list_sort": "SELECT list_sort(list_transform(range(300000000), lambda x: hash(x)))[1]",
    "list_distinct": "SELECT len(list_distinct(range(300000000)))",
    "list_aggregate": "SELECT list_aggregate(range(1000000000), 'histogram')",
    "list of lists": "SELECT len(flatten(list_transform(range(100000), lambda x: range(100000))))",
    "a huge list": "SELECT len(range(10000000000))",
    "a huge list made": "SELECT len(list_resize([1], 5000000000, 2))",
    "a huge list repeated": "SELECT len(repeat([1, 2, 3], 2000000000))",
    "array_agg": "SELECT len(array_agg(i)) FROM range(2000000000) t(i)",
    "histogram": "SELECT histogram(i) FROM range(1000000000) t(i)",
    "levenshtein": "SELECT levenshtein(repeat('ab', 300000), repeat('ba', 300000))",
    "damerau": "SELECT damerau_levenshtein(repeat('ab', 100000), repeat('ba', 100000))",
    "jaccard": (
        "SELECT sum(jaccard(repeat('abc', 10000000), repeat('bcd', 10000000 + i))) FROM"
        " range(99999) t(i)"
    ),
    "jaro_winkler": "SELECT jaro_winkler_similarity(repeat('ab', 2000000), repeat('ba', 2000000))",
    "hamming": "SELECT sum(hamming(repeat('a', 300000000), repeat('b', 300000000))) FROM range(1000)",
    "sleep_ms": "SELECT sleep_ms(100000000)",
    "sleep_ms of rows": "SELECT count(sleep_ms(1000 + i)) FROM range(100000) t(i)",
    "range": "SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 7 = 3",
    "generate_series": "SELECT sum(sqrt(i)) FROM generate_series(1, 1000000000000) t(i)",
    "generate_series of times": (
        "SELECT count(*) FROM generate_series(TIMESTAMP '0001-01-01', TIMESTAMP '9999-01-01',"
        " INTERVAL 1 MILLISECOND) t(i) WHERE hash(i) % 7 = 3"
    ),
    "unnest": "SELECT count(*) FROM (SELECT unnest(range(100000)) FROM range(10000000))",
    "endless recursion": (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    ),
    "recursion that doubles": (
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + b FROM t, (VALUES (1), (2)) AS v(b))"
        " SELECT count(*) FROM t"
    ),
    "recursion on text": (
        "WITH RECURSIVE t(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM t) SELECT"
        " max(length(s)) FROM t"
    ),
    "recursion with distinct": (
        "WITH RECURSIVE t(n) AS (SELECT 1::HUGEINT UNION SELECT n * 7 % 170141183460469 FROM t)"
        " SELECT count(*) FROM t"
    ),
    "cross join": (
        "SELECT count(*) FROM range(1000000) a(i), range(1000000) b(j) WHERE hash(i, j) % 9 = 1"
    ),
    "cross join of tables": (
        "SELECT sum(length(a.conclusion || b.conclusion || c.conclusion)) FROM"
        + ", ".join(f" trajectories {name}" for name in "abcdefgh")
    ),
    "cross join sorted": (
        "SELECT * FROM range(100000) a(i), range(100000) b(j) ORDER BY hash(i * j) LIMIT 5"
    ),
    "join by inequality": (
        "SELECT count(*) FROM range(10000000) a(i) JOIN range(10000000) b(j) ON i < j"
    ),
    "join by function": (
        "SELECT count(*) FROM range(1000000) a(i) JOIN range(1000000) b(j)"
        " ON levenshtein(i::VARCHAR, j::VARCHAR) < 2"
    ),
    "join by pattern": (
        "SELECT count(*) FROM range(1000000) a(i) JOIN range(1000000) b(j) ON i::VARCHAR LIKE j"
        " || '%'"
    ),
    "join that explodes": (
        "SELECT count(*) FROM range(10000000) a(i) JOIN range(10000000) b(j) ON i % 2 = j % 2"
    ),
    "full join": (
        "SELECT count(*) FROM range(100000000) a(i) FULL JOIN range(100000000) b(j) ON hash(i) ="
        " hash(j + 1)"
    ),
    "asof join": (
        "SELECT count(*) FROM range(300000000) a(i) ASOF JOIN range(300000000) b(j) ON a.i >= b.j"
    ),
    "a large hash table": "SELECT count(DISTINCT hash(i)) FROM range(2000000000) t(i)",
    "grouping by text": (
        "SELECT count(*) FROM (SELECT md5(i::VARCHAR) AS k FROM range(500000000) t(i) GROUP BY k)"
    ),
    "grouping by wide text": (
        "SELECT count(*) FROM (SELECT repeat(i::VARCHAR, 1000) AS k FROM range(50000000) t(i)"
        " GROUP BY k)"
    ),
    "a sort that spills": (
        "SELECT hash(i) FROM range(3000000000) t(i) ORDER BY 1 LIMIT 5 OFFSET 2000000000"
    ),
    "a sort of wide rows": (
        "SELECT repeat(i::VARCHAR, 500) AS t FROM range(200000000) t(i) ORDER BY hash(i) OFFSET"
        " 100000000"
    ),
    "a window over everything": (
        "SELECT max(x) FROM (SELECT sum(i) OVER (ORDER BY hash(i)) AS x FROM range(1000000000)"
        " t(i))"
    ),
    "a wide frame": (
        "SELECT max(x) FROM (SELECT mode(i % 1000) OVER (ORDER BY i ROWS BETWEEN 5000000 PRECEDING AND"
        " 5000000 FOLLOWING) AS x FROM range(100000000) t(i))"
    ),
    "quantiles of a window": (
        "SELECT max(x) FROM (SELECT quantile_cont(i, 0.5) OVER (ORDER BY hash(i) ROWS BETWEEN 1000000"
        " PRECEDING AND CURRENT ROW) AS x FROM range(50000000) t(i))"
    ),
    "lists of a window": (
        "SELECT max(len(x)) FROM (SELECT list(i) OVER (ORDER BY i ROWS UNBOUNDED PRECEDING) AS x"
        " FROM range(1000000) t(i))"
    ),
    "regular expression on much": (
        "SELECT count(*) FROM range(100000) t(i) WHERE regexp_matches(repeat('a', 50000000 + i),"
        " '(a|b)*c$')"
    ),
    "a giant regular expression": "SELECT regexp_matches('x', repeat('(a|b)?', 200000))",
    "a counted regular expression": (
        "SELECT sum(regexp_matches(repeat('a', 3000000), '((a{1,30}){1,30}b)')::INT) FROM"
        " range(100000)"
    ),
    "regexp_replace": (
        "SELECT length(regexp_replace(repeat('a', 50000000), 'a', repeat('b', 200), 'g'))"
    ),
    "regexp_extract_all": "SELECT len(regexp_extract_all(repeat('ab', 300000000), '.'))",
    "string_split": "SELECT len(string_split(repeat('a,', 500000000), ','))",
    "LIKE with many stars": (
        "SELECT count(*) FROM range(100000) t(i) WHERE repeat('a', 1000000 + i) LIKE '"
        + "%a" * 200
        + "%b'"
    ),
    "GLOB with many stars": (
        "SELECT count(*) FROM range(100000) t(i) WHERE repeat('a', 100000 + i) GLOB '"
        + "*a" * 30
        + "*b'"
    ),
    "SIMILAR TO": (
        "SELECT count(*) FROM range(10000) t(i) WHERE repeat('ab', 10000000 + i) SIMILAR TO"
        " '((ab)*)*c'"
    ),
    "JSON nested": (
        "SELECT length(to_json(list_transform(range(30000000), lambda x: {'a': x}))::VARCHAR)"
    ),
    "JSON deep": "SELECT (repeat('[', 5000000) || repeat(']', 5000000))::JSON",
    "JSON big": "SELECT json_array_length('[' || repeat('1,', 400000000) || '1]')",
    "json_group_array": "SELECT length(json_group_array(i)) FROM range(1000000000) t(i)",
    "a struct of lists": (
        "SELECT max(len(s.a)) FROM (SELECT {'a': range(10000000 + i)} AS s FROM range(100000) t(i))"
    ),
    "a map": (
        "SELECT cardinality(map_from_entries(list_transform(range(100000000), lambda x: {'k': x,"
        " 'v': x})))"
    ),
    "digests of much": "SELECT count(sha256(repeat('x', 500000000 + i))) FROM range(1000) t(i)",
    "md5 for ever": "SELECT max(md5(md5(md5(i::VARCHAR)))) FROM range(100000000000) t(i)",
    "big numbers": "SELECT sum(i::HUGEINT * i * i % 1000003) FROM range(100000000000) t(i)",
    "factorials": "SELECT sum(factorial((i % 30)::INTEGER)) FROM range(100000000000) t(i)",
    "random": "SELECT avg(random()) FROM range(1000000000000)",
    "deep parentheses": "SELECT " + "(" * _DEEP + "1" + ")" * _DEEP,
    "a long sum": "SELECT " + "+".join(["1"] * 30000),
    "a long condition": "SELECT count(*) FROM range(1000000000) t(i) WHERE "
    + " OR ".join(f"hash(i) = {number}" for number in range(_MANY)),
    "nested subqueries": "SELECT * FROM " + "(SELECT * FROM " * 500 + "range(9)" + ")" * 500,
    "nested CASE": "SELECT "
    + "CASE WHEN i = 1 THEN 2 ELSE " * 2000
    + "3"
    + " END" * 2000
    + " FROM range(99) t(i)",
    "nested functions": "SELECT " + "abs(" * 2000 + "i" + ")" * 2000 + " FROM range(99) t(i)",
    "many joins": "SELECT count(*) FROM "
    + ", ".join(f"trajectories t{number}" for number in range(60)),
    "many unions": " UNION ALL ".join(
        ["SELECT count(*) FROM trajectories, range(100000000)"] * _MANY
    ),
    "many columns": "SELECT "
    + ", ".join(f"hash(i, {n}) AS c{n}" for n in range(2000))
    + " FROM range(10000000) t(i) ORDER BY c7",
    "a wide pivot": "PIVOT (SELECT hash(i) AS k, i FROM range(300000) t(i)) ON k USING sum(i)",
    "correlated subquery": (
        "SELECT sum((SELECT count(*) FROM range(100000) b(j) WHERE b.j < a.i)) FROM range(1000000) a(i)"
    ),
    "EXPLAIN ANALYZE": (
        "EXPLAIN ANALYZE SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 7 = 3"
    ),
    "SUMMARIZE": "SUMMARIZE SELECT i, md5(i::VARCHAR) FROM range(100000000) t(i)",
    "endless rows": "SELECT i, md5(i::VARCHAR) FROM range(1000000000000) t(i)",
    "endless wide rows": "SELECT repeat('x', 1000000) FROM range(1000000000)",
    "a huge row of lists": "SELECT range(100000000) FROM range(100)",
    "bit strings": "SELECT length(bitstring('1', 2000000000))",
    "blobs": "SELECT octet_length(repeat('\\x00'::BLOB, 2000000000))",
    "time zones": (
        "SELECT count(DISTINCT (TIMESTAMPTZ '2026-01-01' + to_seconds(i)) AT TIME ZONE"
        " 'Asia/Tokyo') FROM range(1000000000) t(i)"
    ),
    "collation": (
        "SELECT count(*) FROM range(100000000) t(i) ORDER BY max(md5(i::VARCHAR) COLLATE NOCASE)"
    ),
    "combinations": (
        "SELECT count(*) FROM range(40) a(i) WHERE len(list_reduce(list_transform(range(25),"
        " lambda x: [x]),"
        " lambda s, x: list_concat(s, list_concat(s, x)))) > 0"
    ),
    "bar": "SELECT length(bar(1, 0, 1, 2000000000))",
    "text against itself": (
        "SELECT count(*) FROM trajectories a, trajectories b, range(1000000) WHERE"
        " contains(a.conclusion, b.conclusion)"
    ),
}
