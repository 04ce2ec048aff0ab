"""Runs llama.cpp's HTTP server inside this process until it is told to end.

For CPUs that the prebuilt program does not run on; the flags are the program's own.
"""

import argparse
import signal

import xllamacpp

flags = argparse.ArgumentParser(allow_abbrev=False)
flags.add_argument("-m", dest="model", required=True)
flags.add_argument("--alias", required=True)
flags.add_argument("-np", dest="slots", type=int, required=True)
flags.add_argument("-c", dest="context", type=int, required=True)
flags.add_argument("-t", dest="threads", type=int, required=True)
flags.add_argument("--host", required=True)
flags.add_argument("--port", type=int, required=True)
given = flags.parse_args()

parameters = xllamacpp.CommonParams()
parameters.model.path = given.model
parameters.model_alias = {given.alias}
parameters.n_parallel = given.slots
parameters.n_ctx = given.context
parameters.cpuparams.n_threads = given.threads
parameters.hostnames = [given.host]
parameters.port = given.port
parameters.endpoint_metrics = True
parameters.endpoint_slots = True

# Held until a signal ends the process: the server stops with it.
server = xllamacpp.Server(parameters)
signal.pause()
