"""A profiler that the user runs must neither break compiled functions nor lose what it watches."""

import cProfile
import sys

import twain


def test_compiled_function_under_a_profiler():
    step = twain.compile(lambda x: (x * 3 + 1).sum(0))
    profile = cProfile.Profile()
    profile.enable()
    try:
        for size in (3, 4, 5):
            x = twain.ones((size, 2))
            for _ in range(4):
                assert step(x).tolist() == [4.0 * size] * 2
    finally:
        profile.disable()


def test_a_plan_is_built_under_a_profiler():
    step = twain.compile(lambda x: (x * 3 + 1).sum(0))
    x = twain.ones((7, 2))
    step(x), step(x)
    profile = cProfile.Profile()
    profile.enable()
    try:
        assert step(x).tolist() == [28.0, 28.0]
        assert twain.exports.load("softmax")(x, -1).shape == (7, 2)
        assert sys.getprofile() is None or sys.getprofile() is profile
    finally:
        profile.disable()


def test_plans_answer_under_a_profiler_when_it_is_time_to_record_again():
    step = twain.compile(lambda x: (x * 3 + 1).sum(0))
    x = twain.ones((7, 2))
    for _ in range(5):
        step(x)
    hits, recordings = step.hits, step.recordings
    profile = cProfile.Profile()
    profile.enable()
    try:
        for _ in range(100):
            step(x)
    finally:
        profile.disable()
    assert step.hits == hits + 100 and step.recordings == recordings
    step(x)
    assert step.recordings == recordings + 1
