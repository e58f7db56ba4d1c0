"""Executors: what carries out the units of work of a job, on this machine or on several."""

from neptune_exporter.jobs.executors.base import JobExecutor, joined
from neptune_exporter.jobs.executors.choice import Choice, opened
from neptune_exporter.jobs.executors.worker import LostWorkerError, Opening, StoppedError, Worker
