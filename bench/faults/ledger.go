package faults

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

// ledger is what the rig did, on disk before it is done: what was published
// and whether the broker took it, and what every click was answered.
type ledger struct {
	mu    sync.Mutex
	file  *os.File
	acked map[string]bool // message ID: acknowledged (true), or published and unknown
}

func newLedger(path string) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return &ledger{file: f, acked: map[string]bool{}}, err
}

// write returns once the line is on disk.
func (l *ledger) write(what, id string, more any) {
	line, err := json.Marshal(map[string]any{"at": time.Now().UTC(), "what": what, "id": id, "more": more})
	if err == nil {
		_, err = l.file.Write(append(line, '\n'))
	}
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		panic("the ledger cannot be written: " + err.Error())
	}
}

func (l *ledger) publishing(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.acked[id]; !known {
		l.acked[id] = false
	}
	l.write("publish", id, nil)
}

func (l *ledger) acknowledged(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[id] = true
	l.write("acked", id, nil)
}

func (l *ledger) clicked(id, answer string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.write("click", id, answer)
}

func (l *ledger) took(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked[id]
}

func (l *ledger) counts() (acked, unknown int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ok := range l.acked {
		if ok {
			acked++
		} else {
			unknown++
		}
	}
	return acked, unknown
}
