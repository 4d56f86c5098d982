-- Types of every family, each as a group key, a column, DISTINCT, and where it can be an extreme: none is refused, and
-- verify() is empty after every step. Only what is not so is listed.
SET client_min_messages = warning;
CREATE SCHEMA kinds;
SET search_path = kinds, public;
CREATE DOMAIN posint AS int CHECK (VALUE > 0);
CREATE DOMAIN lbl AS text;
CREATE TYPE mood AS ENUM ('sad','ok','happy');
CREATE TYPE pair AS (x int, y text);
CREATE TYPE nest AS (p pair, r int4range);
CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE t (id int PRIMARY KEY, d posint, l lbl, m mood, r int4range, mr int4multirange, p pair, n nest, a int[], ta text[], pa pair[], j jsonb, js json, c text COLLATE ci, cc text COLLATE "C", g int GENERATED ALWAYS AS (d * 2) STORED, u uuid, i inet, b bytea, tsv tsvector, bits bit(3), ch char(5), x xml, pt point, arr2 int[][], iv interval, nm numeric, dom_arr posint[]);
CREATE TABLE q (k text COLLATE ci, m mood, p pair, r int4range, j jsonb, a int[], v int);
CREATE FUNCTION ins(i int) RETURNS void LANGUAGE sql AS $$
 INSERT INTO t VALUES (i, i % 3 + 1, 'l' || i % 3, (ARRAY['sad','ok','happy']::mood[])[i % 3 + 1], int4range(i % 3, i % 3 + 5), int4multirange(int4range(0, i % 3 + 1)), ROW(i % 2, 'y' || i % 2), ROW(ROW(i % 2, 'z'), int4range(1, i % 3 + 2)), ARRAY[i % 3, NULL, 1], ARRAY['a', 'b' || i % 2], ARRAY[ROW(i % 2, 'q')::pair], jsonb_build_object('k', i % 3, 'z', 1.0), json_build_object('k', i % 3), CASE i % 4 WHEN 0 THEN 'Abc' WHEN 1 THEN 'abc' WHEN 2 THEN 'ABC' ELSE 'x' END, 'C' || i % 2, DEFAULT, md5((i % 3)::text)::uuid, ('10.0.0.' || i % 3)::inet, decode('0' || i % 3, 'hex'), to_tsvector('simple', 'w' || i % 3), (i % 3)::bit(3), 'ch' || i % 2, ('<a>' || i % 2 || '</a>')::xml, point(i % 2, 1), ARRAY[[i % 2, 1], [2, 3]], make_interval(days => i % 3 * 30), i % 3 + 0.10, ARRAY[i % 3 + 1]::posint[]);
 INSERT INTO q VALUES (CASE i % 4 WHEN 0 THEN 'Abc' WHEN 1 THEN 'abc' ELSE 'y' END, 'ok', ROW(i % 2, 'y' || i % 2), int4range(i % 3, i % 3 + 5), jsonb_build_object('k', i % 3, 'z', 1.00), ARRAY[i % 3, NULL, 1], i); $$;
SELECT FROM (SELECT ins(g) FROM generate_series(1, 12) g) i;
CREATE TABLE views (n serial, query text);
INSERT INTO views (query) SELECT format('SELECT %I, count(*) FROM t GROUP BY %1$I', a) FROM unnest('{d,l,m,r,mr,p,n,a,ta,pa,j,c,cc,g,u,i,b,tsv,bits,ch,arr2,iv,nm,dom_arr}'::text[]) a;
INSERT INTO views (query) SELECT format('SELECT id, %I FROM t WHERE id > 2', a) FROM unnest('{d,l,m,r,mr,p,n,a,ta,pa,j,js,c,cc,g,u,i,b,tsv,bits,ch,x,pt,arr2,iv,nm,dom_arr}'::text[]) a;
INSERT INTO views (query) SELECT format('SELECT %I FROM t', a) FROM unnest('{d,l,m,r,mr,p,n,a,ta,pa,j,js,c,cc,g,u,i,b,tsv,bits,ch,x,pt,arr2,iv,nm,dom_arr}'::text[]) a;
INSERT INTO views (query) SELECT format('SELECT DISTINCT %I FROM t', a) FROM unnest('{d,l,m,r,mr,p,n,a,ta,pa,j,c,cc,g,u,i,b,tsv,bits,ch,arr2,iv,nm,dom_arr}'::text[]) a;
INSERT INTO views (query) SELECT format('SELECT d, min(%I), max(%1$I) FROM t GROUP BY d', a) FROM unnest('{d,l,m,a,ta,pa,c,cc,g,i,ch,iv,nm,dom_arr}'::text[]) a;
INSERT INTO views (query) VALUES
 ('SELECT t.id, q.v FROM t JOIN q ON q.k = t.c'), ('SELECT t.id, q.v FROM t JOIN q USING (m)'), ('SELECT t.id, q.v FROM t JOIN q USING (p)'), ('SELECT t.id, q.v FROM t JOIN q USING (r)'), ('SELECT t.id, q.v FROM t JOIN q USING (j)'), ('SELECT t.id, q.v FROM t JOIN q USING (a)'),
 ('SELECT t.id, q.v FROM t LEFT JOIN q ON q.k = t.c'), ('SELECT t.id FROM t WHERE EXISTS (SELECT FROM q WHERE q.p = t.p)'), ('SELECT t.id FROM t WHERE NOT EXISTS (SELECT FROM q WHERE q.j = t.j)'), ('SELECT t.id FROM t WHERE t.r IN (SELECT r FROM q)'),
 ('SELECT t.id, q.v FROM t JOIN q ON q.r && t.r'), ('SELECT t.id, q.v FROM t JOIN q ON q.j @> t.j'),
 ('SELECT (p).x, (p).y, count(*) FROM t GROUP BY (p).x, (p).y'), ('SELECT id, (n).p, ((n).p).x, lower((n).r) FROM t'), ('SELECT id, j->''k'' AS k, j->>''z'' AS z, j #> ''{k}'' AS p FROM t WHERE j @> ''{"k": 1}'''),
 ('SELECT a[1] AS first, count(*) FROM t GROUP BY a[1]'), ('SELECT id, a || 1 AS more, array_length(a, 1) FROM t WHERE 1 = ANY (a)'), ('SELECT m, count(*) FROM t WHERE m > ''sad'' GROUP BY m HAVING max(m) >= ''ok'''), ('SELECT c COLLATE "C" AS c, count(*) FROM t GROUP BY c COLLATE "C"'), ('SELECT lower(cc) AS c, count(*) FROM t GROUP BY 1'),
 ('SELECT r, range_agg(mr) FROM t GROUP BY r'), ('SELECT m, range_agg(r) AS ra, range_intersect_agg(r) FROM t GROUP BY m'), ('SELECT id, ROW(d, l)::text AS t, pa[1].x FROM t'), ('SELECT jsonb_agg(j ORDER BY id), d FROM t GROUP BY d'), ('SELECT c FROM t UNION SELECT k FROM q'), ('SELECT p FROM t EXCEPT SELECT p FROM q'), ('SELECT r FROM t INTERSECT SELECT r FROM q'),
 ('SELECT id, p IS NULL AS pn, n IS NOT NULL AS nn FROM t'), ('SELECT d, (SELECT max(m) FROM q WHERE q.p = t.p) AS m FROM t'), ('SELECT jsonb_path_query_first(j, ''$.k'') AS k, count(*) FROM t GROUP BY 1'), ('SELECT to_jsonb(p) AS p, count(*) FROM t GROUP BY 1'), ('SELECT id, d::int + 1 AS e, l || ''x'' AS lx, dom_arr[1] FROM t'), ('SELECT id, x.* FROM t, jsonb_each(j) x'), ('SELECT id, (p).* FROM t'), ('SELECT c, string_agg(cc, '','' ORDER BY id) FROM t GROUP BY c');
CREATE TABLE result (n int, query text, what text, contents text);
CREATE TABLE steps (n serial, s text);
INSERT INTO steps (s) VALUES ('SELECT FROM (SELECT ins(g) FROM generate_series(20, 27) g) i'), ('UPDATE t SET d = d % 3 + 1, m = CASE m WHEN ''sad'' THEN ''ok''::mood ELSE ''sad'' END, c = upper(c), nm = nm * 1.0, iv = iv + ''1 mon'' - ''30 days'' WHERE id % 2 = 0'), ('UPDATE t SET p = ROW(NULL, NULL), r = ''empty'', a = NULL, j = j || ''{"z": 1.000}'', n.p.x = 5 WHERE id % 3 = 0'), ('UPDATE t SET p = NULL, l = NULL, m = NULL, c = NULL WHERE id = 5'), ('UPDATE q SET p = ROW(1, ''y1''), k = lower(k), j = ''{"k": 1, "z": 1.0}'' WHERE v % 2 = 0'), ('DELETE FROM q WHERE v % 3 = 0'), ('DELETE FROM t WHERE c = ''ABC'''), ('INSERT INTO t (id, d) VALUES (100, 1), (101, 2)'), ('DELETE FROM t');
DO $$
DECLARE v record; s record; w record; msg text; det text;
BEGIN
 FOR v IN SELECT * FROM views ORDER BY n LOOP
  BEGIN
   BEGIN
    EXECUTE 'CREATE MATERIALIZED VIEW v AS ' || v.query;
   EXCEPTION WHEN OTHERS THEN INSERT INTO result VALUES (v.n, v.query, 'pg', sqlerrm); CONTINUE; END;
   PERFORM upkeep.register('v');
   FOR s IN SELECT * FROM steps ORDER BY n LOOP
    EXECUTE s.s;
    FOR w IN SELECT * FROM upkeep.verify('v') LIMIT 2 LOOP
      msg := coalesce(msg, '') || s.s || ' -> ' || w.side || w.contents;
    END LOOP;
    EXIT WHEN msg IS NOT NULL;
   END LOOP;
   RAISE division_by_zero USING MESSAGE = coalesce(msg, 'fine');
  EXCEPTION WHEN division_by_zero THEN IF sqlerrm <> 'fine' THEN INSERT INTO result VALUES (v.n, v.query, 'wrong', sqlerrm); END IF; msg := NULL;
   WHEN OTHERS THEN GET STACKED DIAGNOSTICS det = PG_EXCEPTION_DETAIL; INSERT INTO result VALUES (v.n, v.query, 'error', sqlerrm || ' ' || det);
  END;
 END LOOP;
END $$;
SELECT count(*) FROM views;
SELECT query, what, contents FROM result ORDER BY n;
DROP SCHEMA kinds CASCADE;
