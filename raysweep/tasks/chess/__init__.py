"""Chess tasks: the best move in puzzles of lichess, and games to pretrain chess models on.

Start reading with `notation`, which renders positions and moves as text. `games` reads PGN files and has the
tasks for pretraining, "chess_games" and "chess_move_text"; `puzzles` has the task "chess_puzzles". It may
import what `raysweep.tasks` may; python-chess, an extra, is imported only when a task is loaded.
"""
