"""What a solve works with."""

from solve_fixtures import engine, out, solver

__all__ = ["engine", "out", "solver"]
