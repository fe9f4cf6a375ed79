"""The table of products, brought to the same state before every measurement of either side."""

from pathlib import Path

import psycopg

from benchmarks.product_files import BRANDS, CATEGORIES, COLUMNS

TABLE = "products_product"
FIELDS = ", ".join(
    f"{name}_id" if name in {"category", "brand"} else name for name in (*COLUMNS, "values")
)
DIGEST = f"SELECT count(*), sum(hashtextextended(ROW({FIELDS})::text, 0)) FROM {TABLE}"


class Target:
    """The table, empty or with the products of a file, always fresh from a checkpoint."""

    def __init__(self, connection: psycopg.Connection):
        self.connection = connection

    def create(self) -> None:
        """Fill the referenced tables. Autovacuum would work at other moments for each side."""
        self._run(f"ALTER TABLE {TABLE} SET (autovacuum_enabled = off)")
        for table, codes in (("products_category", CATEGORIES), ("products_brand", BRANDS)):
            self._run(f"INSERT INTO {table} (code) SELECT unnest(%s::text[])", [codes])
            self._run(f"VACUUM (ANALYZE) {table}")

    def empty(self) -> None:
        self._run(f"TRUNCATE {TABLE} RESTART IDENTITY")
        self._run("CHECKPOINT")

    def analyze(self) -> None:
        self._run(f"VACUUM (ANALYZE) {TABLE}")
        self._run("CHECKPOINT")

    def remember(self) -> None:
        """Keep the present rows, for `fill`."""
        self._run("DROP TABLE IF EXISTS remembered")
        self._run(f"CREATE TABLE remembered AS SELECT * FROM {TABLE} ORDER BY id")

    def fill(self) -> None:
        """Bring back the remembered rows, as if they had just been loaded and analyzed.

        Their references are known to be good; not to check them again saves half the time.
        """
        self._run(f"TRUNCATE {TABLE} RESTART IDENTITY")
        self._run("SET session_replication_role = replica")
        self._run(f"INSERT INTO {TABLE} ({FIELDS}) SELECT {FIELDS} FROM remembered ORDER BY id")
        self._run("RESET session_replication_role")
        self.analyze()

    def digest(self) -> tuple[int, int]:
        """The number of rows and a sum over their contents: equal if the rows are equal."""
        return self.connection.execute(DIGEST).fetchone()

    def count(self) -> int:
        return self.connection.execute(f"SELECT count(*) FROM {TABLE}").fetchone()[0]

    def forget_writes(self) -> None:
        """Count what is written to the table from now on, and nothing that `fill` has written."""
        self._run("SELECT pg_stat_force_next_flush()")
        self._run(f"SELECT pg_stat_reset_single_table_counters('{TABLE}'::regclass)")

    def writes(self) -> dict[str, int]:
        """Rows inserted, updated and dead since then, of sessions that have ended."""
        names = ("n_tup_ins", "n_tup_upd", "n_dead_tup")
        self._run("SELECT pg_stat_clear_snapshot()")
        found = self.connection.execute(
            f"SELECT {', '.join(names)} FROM pg_stat_user_tables WHERE relid = '{TABLE}'::regclass"
        ).fetchone()
        return dict(zip(names, found, strict=True))

    def _run(self, statement: str, parameters: list | None = None) -> None:
        self.connection.execute(statement, parameters)


def read_blocks(path: Path, size: int = 1 << 18):
    """The file's bytes in blocks, as COPY takes them."""
    with path.open("rb") as file:
        while block := file.read(size):
            yield block
