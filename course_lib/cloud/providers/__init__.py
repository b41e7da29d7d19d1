"""Providers: each SDK in one module, the emulators that answer it on this machine, and credentials."""
