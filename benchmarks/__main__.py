"""`make bench`: every measure in one run, each in a process of its own. Ratios are what counts: machines are noisy."""

import subprocess
import sys

MEASURES = ("validation", "pipeline", "transfer", "crowd", "throughput")


def main() -> int:
    """Run the measures named, or all. Returns the first exit status that isn't 0."""
    chosen = sys.argv[1:] or MEASURES
    for name in chosen:
        if name not in MEASURES:
            print(f"no such measure: {name}; there are {', '.join(MEASURES)}", file=sys.stderr)
            return 2
    for name in chosen:
        print(f"\n== {name} ==", flush=True)
        status = subprocess.run([sys.executable, "-m", f"benchmarks.{name}"], check=False).returncode
        if status:
            return status
    return 0


if __name__ == "__main__":
    sys.exit(main())
