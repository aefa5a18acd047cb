from provost.worker.worker import Worker

__all__ = ["Worker"]
