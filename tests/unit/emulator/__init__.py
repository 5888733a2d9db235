"""Tests of the emulator without its servers."""
