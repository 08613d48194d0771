"""The contract as a program: ``python -m ai_dev_squad_testing.contract test_tiny.py``.

Runs the tests of the adapters in these files and prints how far each holds the contract. Ends with 0 if all do, with 1 if a
test failed or was left out, with 2 if there is no contract in the files. What comes after ``--`` goes to pytest.
"""

from __future__ import annotations

import sys

from ai_dev_squad_testing.contract_report import ContractError, run_contract

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run the program. Returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    cut = given.index("--") if "--" in given else len(given)
    try:
        reports = run_contract(*given[:cut], options=given[cut + 1 :])
    except ContractError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(report.holds for report in reports) else 1


if __name__ == "__main__":
    sys.exit(main())
