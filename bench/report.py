"""
report: from samples to ratios, and from these to tables, verdicts, JSON and a plot.
Measures nothing.
Used by run.
"""

import collections
import datetime
import os
import platform
import shutil
import statistics
import subprocess

import measures
import peers
import rig
import scrapes

# A server's figures divided by the mean of those of the baseline before and after it; capacity the
# other way round, so that more is better there.
Ratios = collections.namedtuple("Ratios", "capacity throughput p50 p99 starved lost_share truncated")

CAPACITY_AT_LEAST = {
    "w1": 1.0, "w2a": 1.0, "w2b": 1.0, "w3a": 1.9, "w3b": 4.0, "w3f": 3.5, "w4": 1.0,
    "u1": 0.95, "u2": 1.0, "u3": 1.0, "u4": 15.0, "u5": 0.95,
    "t1": 1.0, "t2": 1.0, "t3": 1.0, "t3r": 1.0, "t3p": 1.0, "t3rp": 1.0}
P99_AT_MOST = 1.05
LOGGED_AT_LEAST = {"echod log file": 0.92, "echod log pipe": 0.92, "echod log json": 0.9}
BYTES_AT_MOST = 1536
TWO_WORKERS_AT_LEAST = 1.8
SCRAPED_AT_MOST = 1.1  # or noise
NOISE = 1.03  # what the same command run twice may differ by
MAY_BE_AHEAD = {("w2a", "io_uring"), ("w2b", "io_uring"), ("w4", "io_uring")}

MARKS = {"*": ("starved", "in some round, some connections got nothing while it was counted"),
         "!": ("truncated", "ends connections without close_notify")}
BASELINE_CALLS = {rig.TCP: "read and write", rig.UDP: "recvfrom and sendto",
                  rig.TLS: "SSL_read and SSL_write"}
TABLES = [
    ("capacity", "Capacity: server CPU time per unit, the baseline's divided by the server's; "
                 "above 1, a core does more"),
    ("throughput", "Throughput: units per second, divided by the baseline's; server and generator "
                   "share the CPU"),
    ("p50", "Median latency, divided by the baseline's; below 1 is quicker"),
    ("p99", "99th percentile of latency, divided by the baseline's; below 1 is quicker"),
]


def ratios(sample, before, after):
    def mean(figure):
        return (figure(before) + figure(after)) / 2

    def cost(one):
        return one.cpu_seconds / one.units

    def rate(one):
        return one.units / one.seconds

    return Ratios(mean(cost) / cost(sample), rate(sample) / mean(rate),
                  sample.p50_us / mean(lambda one: one.p50_us),
                  sample.p99_us / mean(lambda one: one.p99_us), sample.starved,
                  sample.lost_share, sample.truncated)


def _spread_percent(values):
    """Half of what lies between the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0
    first, median, third = statistics.quantiles(values, n=4, method="inclusive")
    return 50 * (third - first) / median


def _values(run, work, name, figure):
    return [getattr(one, figure) for one in run.cells.get((work, name), [])]


def _median(run, work, name, figure):
    values = _values(run, work, name, figure)
    return statistics.median(values) if values else None


def _word(run, figure, name):
    """What stands in a cell that has no figure."""
    failures = run.failures.get((figure, name))
    return failures[-1].word if failures else "-"


def _works(run):
    return [work for work in measures.WORKS if work.name in run.arguments.only]


def _groups(run):
    """The works, in tables of their own: streams, datagrams, and TLS."""
    groups = [[work for work in _works(run) if work.kind == kind]
              for kind in (rig.TCP, rig.UDP, rig.TLS)]
    return [works for works in groups if works]


# Text.


def print_all(run, missing, cpu):
    for key, value in conditions(run, cpu).items():
        print(f"{key:<12} {value}")
    for sentence in missing:
        print(f"{'left out':<12} {sentence}")
    for work in _works(run):
        print(f"{work.name:<12} {work.about}")
    print()
    for works in _groups(run):
        _print_baseline(run, works)
        for figure, title in TABLES:
            _print_ratios(run, works, figure, title)
        _print_losses(run, works)
    for mark, (figure, sentence) in MARKS.items():
        if any(getattr(one, figure) for cell in run.cells.values() for one in cell):
            print(f"{mark} {sentence}\n")
    if run.calls:
        _print_calls(run)
    if run.memory:
        _print_memory(run)
    if run.workers:
        _print_workers(run)
    if run.scrapes:
        _print_scrapes(run)
    _print_verdicts(run)
    _print_failures(run)
    print("Any figure again, beside a fresh baseline: "
          f"{run.command} --only w2a --server libuv   (or --only calls, memory, workers, scrapes)")


def conditions(run, cpu):
    """Under which circumstances it was measured: what a reader must know to repeat it."""
    own = os.environ.get("BENCH_NAMESPACE") == "own"
    names = [peers.BASELINE, *run.others]
    versions = [f"{name} {run.found[name].version}" for name in names if run.found[name].version]
    return {
        "date": datetime.datetime.now().astimezone().isoformat(" ", "minutes"),
        "machine": f"{_cpu_model()}, {os.cpu_count()} CPUs; {platform.system()} "
                   f"{platform.release()}",
        "measured on": f"CPU {cpu}, SCHED_BATCH, shared by server and generator; "
                       f"{'own' if own else 'NO OWN'} network namespace, "
                       f"TCP {rig.congestion_control()}",
        "rounds": f"{run.arguments.rounds} of {run.arguments.seconds:g} s per measurement; "
                  "medians, ± half of the interquartile range in per cent",
        "versions": ", ".join(versions),
    }


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        return next((line.partition(":")[2].strip() for line in lines
                     if line.startswith("model name")), platform.machine())


def _print_table(title, columns, rows):
    """`rows` are (name, cells)."""
    print(title)
    print(f"  {'':<18}" + "".join(f"{column:>15}" for column in columns))
    for name, cells in rows:
        print(f"  {name:<18}" + "".join(f"{cell:>15}" for cell in cells).rstrip())
    print()


def _print_baseline(run, works):
    def median(work, figure):
        return statistics.median(figure(one) for one in run.baseline[work.name])

    def cost(work):
        ns = median(work, lambda one: one.cpu_seconds / one.units) * 1e9
        return f"{ns:.0f} ns/KiB" if work.unit == "KiB" else f"{ns / 1000:.2f} µs"

    def rate(work):
        units = median(work, lambda one: one.units / one.seconds)
        return f"{units / 1024:.0f} MiB/s" if work.unit == "KiB" else f"{units:,.0f} /s"

    def share(work):
        return f"{100 * median(work, lambda one: one.generator_share):.0f} %"

    title = (f"{peers.BASELINE}, the baseline: a level-triggered epoll loop with "
             + BASELINE_CALLS[works[0].kind])
    _print_table(title, [work.name for work in works], [
        ("server CPU per unit", [cost(work) for work in works]),
        ("throughput", [rate(work) for work in works]),
        ("p50", [f"{median(work, lambda one: one.p50_us):,.0f} µs" for work in works]),
        ("p99", [f"{median(work, lambda one: one.p99_us):,.0f} µs" for work in works]),
        ("generator's CPU", [share(work) for work in works]),
    ])


def _print_ratios(run, works, figure, title):
    def cell(work, name):
        values = _values(run, work.name, name, figure)
        if not values:
            return _word(run, work.name, name)
        mark = next((mark for mark, (what, _) in MARKS.items()
                     if any(_values(run, work.name, name, what))), " ")
        return f"{statistics.median(values):.2f}{mark}±{_spread_percent(values):<2.0f}"

    _print_table(title, [work.name for work in works],
                 [(name, [cell(work, name) for work in works]) for name in _rows(run, works)])


def _rows(run, works):
    """The servers that were measured, or failed, in one of these works."""
    return [name for name in run.others
            if any(run.cells.get((work.name, name)) or run.failures.get((work.name, name))
                   for work in works)]


def _print_losses(run, works):
    def cell(work, name):
        values = _values(run, work.name, name, "lost_share")
        return f"{100 * statistics.median(values):.2f}" if values else _word(run, work.name, name)

    rows = [(name, [cell(work, name) for work in works]) for name in _rows(run, works)
            if any(any(_values(run, work.name, name, "lost_share")) for work in works)]
    if rows:
        _print_table("Datagrams that did not come back within 50 ms, per cent",
                     [work.name for work in works], rows)


def _print_calls(run):
    for kind in (rig.TCP, rig.TLS):
        works = [work for work in measures.WORKS
                 if work.calls_messages is not None and work.kind == kind]
        names = [name for name in run.compared_in_all()
                 if any(run.calls.get((work.name, name)) for work in works)]
        if names:
            _print_calls_of(run, works, names)


def _print_calls_of(run, works, names):
    def cell(work, name):
        calls = run.calls[work.name, name]
        if calls is None:
            return _word(run, f"calls {work.name}", name)
        return f"{calls:.2f}"

    _print_table("System calls per message (w4, t3: per connection)", [work.name for work in works],
                 [(name, [cell(work, name) for work in works]) for name in names])


def _print_memory(run):
    _print_table("Memory in user space per idle connection that echoed once",
                 ["bytes", "connections"],
                 [(name, ["-", "-"] if one is None else
                   [f"{one.bytes_each:,.0f}", f"{one.connections:,}"])
                  for name, one in run.memory.items()])


def _gain_of_two_workers(run, which):
    """Twice the cores, at what a message then costs; `which` counts the ways to have them."""
    gains = [2 * costs[0] / costs[which] for costs in run.workers
             if costs[0] is not None and costs[which] is not None]
    return statistics.median(gains) if gains else None


def _print_workers(run):
    def cell(which, figure):
        gain = _gain_of_two_workers(run, which)
        return _word(run, figure, "echod") if gain is None else f"{gain:.2f}"

    _print_table("Capacity of two workers on two CPUs; 1 is one worker, while the other CPU is as "
                 "busy", ["--workers 2", "--pin-workers"], [("echod", [cell(1, "workers"), cell(2, "pinned workers")])])


def _scraped(run, situation, reference):
    """The p99 of a situation divided by that of another one, in each round."""
    return [p99_us[situation] / p99_us[reference] for p99_us in run.scrapes]


def _scrapes_noise(run):
    """What lies above three quarters of the rounds where the situation was the same."""
    ratios_again = sorted(_scraped(run, scrapes.AGAIN, scrapes.NOBODY))
    return ratios_again[len(ratios_again) * 3 // 4]


def _print_scrapes(run):
    def ratio(situation, reference):
        values = _scraped(run, situation, reference)
        return f"{statistics.median(values):.2f} ±{_spread_percent(values):<2.0f}"

    def cells(situation):
        p99_us = statistics.median(p99_us[situation] for p99_us in run.scrapes)
        return [f"{p99_us:,.0f} µs",
                ratio(situation, scrapes.NOBODY) if situation != scrapes.NOBODY else "-",
                ratio(situation, situation.elsewhere) if situation.elsewhere else "-"]

    _print_table("p99 of 2,000 echoes a second on 50 connections, while clients ask this echod or, "
                 "elsewhere, another one", ["p99", "to nobody", "to elsewhere"],
                 [(situation.name, cells(situation)) for situation in scrapes.SITUATIONS])


def verdicts(run):
    """Return (what, figure, limit, is_met) for each target that echod can be judged by here."""
    found = []
    for work in _works(run):
        capacity = _median(run, work.name, "echod", "capacity")
        p99 = _median(run, work.name, "echod", "p99")
        if capacity is not None:
            least = CAPACITY_AT_LEAST[work.name]
            found.append((f"capacity {work.name}, at least", capacity, least, capacity >= least))
            found.append((f"p99 {work.name}, at most", p99, P99_AT_MOST, p99 <= P99_AT_MOST))
        for name, least in LOGGED_AT_LEAST.items():
            logged = _median(run, work.name, name, "capacity")
            if logged is not None:
                found.append((f"capacity {work.name} of {name}, at least", logged, least,
                              logged >= least))
    for name in ("echod", "echod, many"):
        if run.memory.get(name) is not None:
            used, connections = run.memory[name]
            found.append((f"bytes per idle connection of {connections:,}, at most", used,
                          BYTES_AT_MOST, used <= BYTES_AT_MOST))
    for which, name in ((1, "two workers"), (2, "two pinned workers")):
        gain = _gain_of_two_workers(run, which)
        if gain is not None:
            found.append((f"{name}, at least", gain, TWO_WORKERS_AT_LEAST,
                          gain >= TWO_WORKERS_AT_LEAST))
    for situation in (scrapes.SCRAPED, scrapes.MUTE_HERE) if run.scrapes else ():
        ratio = statistics.median(_scraped(run, situation, situation.elsewhere))
        most = max(SCRAPED_AT_MOST, _scrapes_noise(run))
        found.append((f"p99 of echoes beside {situation.name} to elsewhere, at most", ratio, most, ratio <= most))
    return found


def _print_verdicts(run):
    for what, figure, limit, is_met in verdicts(run):
        verdict = "met" if is_met else f"missed by {100 * abs(figure / limit - 1):.1f} %"
        print(f"target: {what} {limit:g}: {figure:.4g}, {verdict}")
    for work in _works(run):
        mine = _median(run, work.name, "echod", "capacity")
        others = [name for name in run.others if not name.startswith("echod") and
                  name != peers.AGAIN and (work.name, name) not in MAY_BE_AHEAD]
        ahead = [name for name in others if mine is not None and
                 (_median(run, work.name, name, "capacity") or 0) > mine * NOISE]
        if mine is not None and others:
            print(f"target: no peer ahead by more than {NOISE - 1:.0%} in {work.name}: "
                  + (f"missed, {', '.join(ahead)}" if ahead else "met"))
    print()


def _print_failures(run):
    for (figure, name), failures in run.failures.items():
        for failure in failures:
            print(f"failure: {figure}, {name}: {failure.word}: {failure}")
    if any(run.failures.values()):
        print()


# For machines.


def as_json(run, missing, cpu):
    works = {}
    for work in _works(run):
        works[work.name] = {
            "about": work.about,
            "unit": work.unit,
            "baseline": [one._asdict() for one in run.baseline[work.name]],
            "ratios": {name: [one._asdict() for one in run.cells.get((work.name, name), [])]
                       for name in run.others},
        }
    return {
        "conditions": conditions(run, cpu),
        "left_out": missing,
        "works": works,
        "calls_per_message": [{"work": work, "server": name, "calls": calls}
                              for (work, name), calls in run.calls.items()],
        "memory": {name: one and one._asdict() for name, one in run.memory.items()},
        "workers": run.workers,
        "scrapes_p99_us": [{situation.name: us for situation, us in p99_us.items()}
                           for p99_us in run.scrapes],
        "failures": [{"figure": figure, "server": name, "word": failure.word, "why": str(failure)}
                     for (figure, name), failures in run.failures.items()
                     for failure in failures],
        "targets": [{"target": what, "limit": limit, "figure": figure, "met": is_met}
                    for what, figure, limit, is_met in verdicts(run)],
    }


# For people.


def write_markdown(path, text, plot_path):
    picture = f"![capacity]({os.path.basename(plot_path)})\n\n" if plot_path else ""
    with open(path, "w", encoding="utf-8") as file:
        file.write("# What `make bench` said\n\n[How to read it](../bench/README.md).\n\n"
                   f"{picture}```\n{text}```\n")


_COLOURS = ["d62728", "ff9896", "1f77b4", "aec7e8", "2ca02c", "98df8a", "9467bd", "c5b0d5",
            "8c564b", "e377c2", "17becf", "bcbd22", "7f7f7f", "ffbb78"]

_PLOT = """
set terminal svg size 1100,520 font "sans-serif,13" background "white" noenhanced
set output "{path}"
set title "Echoes per core against a hand-written epoll loop, {date}"
set ylabel "capacity, log scale; 1 is the loop"
set logscale y 2
set yrange [1.0/64:8]
set xrange [-0.6:{works}-0.4]
set xtics ({tics}) scale 0
set grid ytics
set key outside right
set datafile missing "-"
plot 1 with lines linecolor "black" notitle, \\
    {series}
"""


def plot(run, path):
    if shutil.which("gnuplot") is None:
        print(f"{path} is not written: gnuplot is not installed")
        return
    names = [name for name in run.compared_in_all() if name != peers.BASELINE]
    works = _works(run)
    lines = []
    for work in works:
        figures = [_median(run, work.name, name, "capacity") for name in names]
        lines.append(" ".join("-" if figure is None else f"{figure:.3f}" for figure in figures))
    series = [f'$data using ($0 + {(i + 0.5) / len(names) - 0.5:.3f} * 0.8):{i + 1} with points '
              f'pointtype 7 pointsize {1.3 if name.startswith("echod") else 0.8} '
              f'linecolor "#{_COLOURS[i % len(_COLOURS)]}" title "{name}"'
              for i, name in enumerate(names)]
    script = "$data << END\n" + "\n".join(lines) + "\nEND\n" + _PLOT.format(
        path=path, date=datetime.date.today(), works=len(works), series=", \\\n    ".join(series),
        tics=", ".join(f'"{work.name}" {i}' for i, work in enumerate(works)))
    subprocess.run(["gnuplot"], input=script, text=True, check=True)
