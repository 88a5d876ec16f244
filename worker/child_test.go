package worker

const childURL = "WORKER_CHILD_URL"

func child() {}
