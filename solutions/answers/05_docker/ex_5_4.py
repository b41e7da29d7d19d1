# %% no handler answer="wrong" expect="install a handler with signal.signal"
def serve() -> str:
    return """
server.serve_forever()
"""

# %% exits in the handler answer="wrong" expect="die with the main thread"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
server.serve_forever()
"""

# %% shutdown in the handler answer="wrong" expect="call shutdown() from another thread"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, lambda *_: server.shutdown())
server.daemon_threads = False
server.serve_forever()
server.server_close()
"""

# %% ignores the signal answer="wrong" expect="had to be killed"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
server.serve_forever()
"""

# %% daemon threads answer="wrong" expect="die with the main thread"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
"""

# %% waits for a fixed time answer="wrong" expect="no fixed time"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.serve_forever()
server.server_close()
time.sleep(0.6)
"""

# %% ends with the signal's code answer="wrong" expect="a clean stop is 0"
def serve() -> str:
    return """
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
server.daemon_threads = False
server.serve_forever()
server.server_close()
sys.exit(143)
"""

# %% serves in a thread, waits for the signal answer="right"
def serve() -> str:
    return """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
server.daemon_threads = False
threading.Thread(target=server.serve_forever).start()
signal.sigwait({signal.SIGTERM})
server.shutdown()
server.server_close()
"""

# %% an event between handler and main thread answer="right"
def serve() -> str:
    return """
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopping.set())
server.daemon_threads = False
worker = threading.Thread(target=server.serve_forever)
worker.start()
stopping.wait()
server.shutdown()
worker.join()
server.server_close()
"""
