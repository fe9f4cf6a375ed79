"""`files`: exports in all formats against COPY … TO, and XLSX files against openpyxl."""

from collections import defaultdict
from pathlib import Path
from statistics import median

import psycopg

from benchmarks import launched, peer_resources, raw, sheets
from benchmarks.launched import Failed, Run
from benchmarks.product_files import ProductFile, write_products
from benchmarks.report import Report, progress, target
from benchmarks.target import Target

JOB = "products.product.export"
# How fast each format should be, as a ratio to COPY … TO, and the most memory it may take in MB.
FORMATS = {"csv": (0.9, 120), "jsonl": (0.6, 120), "parquet": (0.5, 350), "xlsx": (0.3, 120)}
TIMES = 10  # what memory is compared with: a tenth of the rows
MOST_GROWTH = 10  # MB
PEER_ROWS, TIMES_AS_FAST = 20_000, 15
SHEET_ROWS = 50_000
MOST_OF_XLSX_IMPORT = 250  # MB
COLUMNS = ["what", "rows", "seconds", "rows/s", "ratio", "job CPU µs/row", "peak MB"]


def measure(connection: psycopg.Connection, folder: Path, rows: int, rounds: int) -> Report:
    """Exports by turns with COPY; then XLSX files, and the import of the largest, once."""
    files = _Files(connection, folder, write_products(folder, rows))
    report = Report("files", f"Files, median of {rounds} rounds", COLUMNS)
    small = files.exported_small()
    for number in range(rounds):
        files.round(number)
    _add_exports(report, files, small)
    _add_peer(report, files)
    _add_sheets(report, files, rounds)
    _add_xlsx_import(report, files)
    return report


class _Files:
    """The table of products, and what its exports took."""

    def __init__(self, connection: psycopg.Connection, folder: Path, file: ProductFile):
        self.connection, self.folder, self.file = connection, folder, file
        self.table = Target(connection)
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.raw: list[float] = []
        self.peer: list[float] = []
        self.xlsx: Path | None = None

    def load(self, rows: int) -> ProductFile:
        file = write_products(self.folder, rows)
        self.table.empty()
        raw.load(self.connection, file.good_path)
        self.table.analyze()
        return file

    def exported_small(self) -> dict[str, int]:
        """Export a tenth of the rows and read the files with others; the peaks, by format."""
        file = self.load(self.file.rows // TIMES)
        peaks = {}
        for name in FORMATS:
            run = launched.run(job=JOB, format=name)
            found = sheets.count_rows(run.output(), name)
            if found != file.good:
                raise Failed(f"The {name} file has {found} rows instead of {file.good}.")
            peaks[name] = run.peak_bytes
        self.load(self.file.rows)
        return peaks

    def round(self, number: int) -> None:
        names = ["COPY", *FORMATS, "peer"]
        for name in names[number % len(names) :] + names[: number % len(names)]:
            if name == "COPY":
                self.raw.append(raw.save(self.connection, self.folder / "copied.csv"))
                progress("COPY … TO", self.raw[-1])
            elif name == "peer":
                rows = min(PEER_ROWS, self.file.good)
                self.peer.append(peer_resources.save(self.folder / "peer.csv", rows))
                progress(f"django-import-export, {rows:,} rows", self.peer[-1])
            else:
                self._export(name)

    def _export(self, name: str) -> None:
        run = launched.run(job=JOB, format=name).expect(done=self.file.good)
        self.runs[name].append(run)
        progress(f"export, {name}", run.seconds)
        if name == "xlsx":
            self.xlsx = run.output().replace(self.folder / "products.xlsx")
        else:
            run.output().unlink()


def _add_exports(report: Report, files: _Files, small: dict[str, int]) -> None:
    rows, by_hand = files.file.good, median(files.raw)
    _add(report, "COPY … TO", rows, by_hand)
    report.data["copy_to"] = files.raw
    for name, (limit, most) in FORMATS.items():
        runs = files.runs[name]
        took, peak = median(run.seconds for run in runs), max(run.peak_bytes for run in runs) / 1e6
        used = median(run.cpu_seconds for run in runs) / rows * 1e6
        _add(report, f"export, {name}", rows, took, ratio=by_hand / took, used=used, peak=peak)
        growth = peak - small[name] / 1e6
        report.notes += [
            target(f"Ratio, export, {name}", by_hand / took, limit),
            target(f"Peak MB of it, {growth:+.0f} from a tenth of the rows", peak, most,
                   at_most=True),
        ]  # fmt: skip
        report.data[f"export, {name}"] = {
            "rows": rows,
            "seconds": [run.seconds for run in runs],
            "job_cpu_seconds": [run.cpu_seconds for run in runs],
            "peak_bytes": [run.peak_bytes for run in runs],
            "peak_bytes_of_a_tenth": small[name],
        }


def _add_peer(report: Report, files: _Files) -> None:
    rows = min(PEER_ROWS, files.file.good)
    theirs = rows / median(files.peer)
    own = files.file.good / median(run.seconds for run in files.runs["csv"])
    _add(report, "django-import-export, select_related", rows, median(files.peer))
    report.notes.append(
        target("Times as fast as django-import-export, CSV", own / theirs, TIMES_AS_FAST)
    )
    report.data["django-import-export"] = files.peer


def _add_sheets(report: Report, files: _Files, rounds: int) -> None:
    """Read and write XLSX files of fewer rows, as others need long for them."""
    rows = files.load(min(SHEET_ROWS, files.file.rows)).good
    for verb, limit, measured in (
        ("reading", 3, sheets.reading(files.connection, files.folder, rows, rounds)),
        ("writing", 4, sheets.writing(files.connection, files.folder, rounds)),
    ):
        theirs = median(measured["openpyxl"])
        for name, seconds in measured.items():
            ratio = theirs / median(seconds)
            _add(report, f"XLSX {verb}, {name}", rows, median(seconds), ratio=ratio)
        own = theirs / median(measured["Millrace"])
        report.notes.append(target(f"Times as fast as openpyxl, {verb}", own, limit))
        report.data[f"xlsx_{verb}"] = measured


def _add_xlsx_import(report: Report, files: _Files) -> None:
    """The import of the XLSX file that the export has made."""
    assert files.xlsx
    files.table.empty()
    run = launched.run(files.xlsx).expect(created=files.file.good)
    peak, rows = run.peak_bytes / 1e6, files.file.good
    used = run.cpu_seconds / rows * 1e6
    progress("import, xlsx", run.seconds)
    _add(report, "import, xlsx (once)", rows, run.seconds, used=used, peak=peak)
    report.notes.append(
        target("Peak MB of the XLSX import", peak, MOST_OF_XLSX_IMPORT, at_most=True)
    )
    report.data["import, xlsx"] = {
        "rows": rows, "seconds": run.seconds, "counts": run.counts,
        "job_cpu_seconds": run.cpu_seconds, "peak_bytes": run.peak_bytes,
    }  # fmt: skip


def _add(
    report: Report, what: str, rows: int, seconds: float, *, ratio: float | None = None,
    used: float | None = None, peak: float | None = None,
) -> None:  # fmt: skip
    shown = ["" if value is None else f"{value:.{places}f}"
             for value, places in ((ratio, 2), (used, 1), (peak, 0))]  # fmt: skip
    report.rows.append([what, f"{rows:,}", f"{seconds:.2f}", f"{rows / seconds:,.0f}", *shown])
