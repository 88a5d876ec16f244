package directory

import "syscall"

// hugePages asks the system to back memory with pages of 2 MiB where it can.
// Where it cannot, nothing is lost but time.
func hugePages(b []byte) { _ = syscall.Madvise(b, syscall.MADV_HUGEPAGE) }
