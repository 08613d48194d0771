"""The contract as a program: ``python -m ai_dev_squad_testing.store_contract test_tiny.py``.

Runs the tests of the engines in these files and prints how far each holds the contract. Ends with 0 if all do, with 1 if a
test failed or was left out, with 2 if there is no contract in the files. What comes after ``--`` goes to pytest.
"""

from __future__ import annotations

import sys

from ai_dev_squad_testing.contract_report import main

if __name__ == "__main__":
    sys.exit(main())
