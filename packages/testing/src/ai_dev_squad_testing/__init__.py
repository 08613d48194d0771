"""For tests of programs and of adapters: what is observed, a scripted model, and the contracts that adapters and stores hold.

    with ModelServer(Script([reply("Ship it.")])) as server, capture() as captured:
        my_agent(server.base_url).invoke("Review this patch.")
    assert captured.tree() == ...

``ai_dev_squad_testing.model_server`` stands in for a paid model. ``AdapterContract`` needs the extra ``contract``,
``StoreContract`` the extra ``store-contract``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ai_dev_squad_testing.captured import Captured, capture, reset
    from ai_dev_squad_testing.cassette import Cassette
    from ai_dev_squad_testing.contract import AdapterContract
    from ai_dev_squad_testing.contract_report import ContractError, ContractReport, run_contract
    from ai_dev_squad_testing.recording import use_cassette
    from ai_dev_squad_testing.repeatable import fixed_ids_and_clock
    from ai_dev_squad_testing.store_contract import StoreContract

__all__ = [
    "AdapterContract",
    "Captured",
    "Cassette",
    "ContractError",
    "ContractReport",
    "StoreContract",
    "capture",
    "fixed_ids_and_clock",
    "model_server",
    "reset",
    "run_contract",
    "use_cassette",
]

_HOMES = {
    "AdapterContract": "contract",
    "Captured": "captured",
    "Cassette": "cassette",
    "ContractError": "contract_report",
    "ContractReport": "contract_report",
    "StoreContract": "store_contract",
    "capture": "captured",
    "fixed_ids_and_clock": "repeatable",
    "reset": "captured",
    "run_contract": "contract_report",
    "use_cassette": "recording",
}


def __getattr__(name: str) -> Any:
    # Imported when asked for: the model server needs nothing of core, and only the contract needs pytest.
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    if name == "model_server":
        return import_module(f"{__name__}.model_server")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
