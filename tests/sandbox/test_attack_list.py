"""Where each attack of the list in the design (`sandbox.md`, 5.2) is tested, checked to be true.

Most numbers are in the names of the tests that run on every engine. Number 24 stands for filling
the workspace, 36 for what could be kept in the kernel; from 63 on they are our own.
"""

import re
from pathlib import Path

import box_escapes
import box_floods
import box_tricks

FOLDER = Path(__file__).parent
ON_EVERY_ENGINE = (box_escapes, box_floods, box_tricks)
ELSEWHERE = {
    24: ("box_floods.py", "test_25_disk_is_limited_wherever_it_is_written"),
    26: ("box_floods.py", "test_25_disk_is_limited_wherever_it_is_written"),
    43: ("test_forged_scores.py", "test_43_a_metric_that_is_only_printed_is_no_score"),
    47: ("box_tricks.py", "test_46_what_a_run_leaves_behind_no_other_run_finds"),
    48: ("box_conformance.py", "test_the_libraries_of_machine_learning_work"),
    50: ("test_forged_scores.py", "test_50_nothing_is_unpickled"),
    51: ("../tasks/test_grading.py", "test_malformed_predictions_say_what_is_wrong"),
    58: ("test_warm_box.py", "test_a_killed_process_is_one_clear_error_and_the_next_run_works"),
    59: ("test_warm_box.py", "test_a_script_prints_and_ends_as_in_a_cold_box"),
}
NOT_APPLICABLE = {57: "no processor of graphics is shown in a box"}


def test_every_attack_of_the_list_is_tried() -> None:
    tried = {
        int(number)
        for module in ON_EVERY_ENGINE
        for number in re.findall(r"def test_(\d\d)_", Path(module.__file__).read_text())
    }
    for file, name in ELSEWHERE.values():
        assert f"def {name}(" in (FOLDER / file).read_text()
    accounted = tried | ELSEWHERE.keys() | NOT_APPLICABLE.keys()
    assert set(range(1, 63)) <= accounted
    assert len(tried) >= 55
