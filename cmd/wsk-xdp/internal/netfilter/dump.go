// SPDX-License-Identifier: Apache-2.0

package netfilter

import (
	"errors"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// dumpTries bounds how often it is read again because it changed meanwhile.
const dumpTries = 5

func dump() (ruleset, error) {
	var err error
	for range dumpTries {
		r := ruleset{}
		if err = ask(unix.NFT_MSG_GETCHAIN, r.addChain); err == nil {
			err = ask(unix.NFT_MSG_GETRULE, r.addRule)
		}
		if err == nil {
			return r, nil
		}
		if !errors.Is(err, unix.EINTR) && !errors.Is(err, nl.ErrDumpInterrupted) {
			break
		}
	}
	return nil, err
}

func ask(message int, take func([]byte)) error {
	req := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_NFTABLES<<8|message, unix.NLM_F_DUMP)
	req.AddRawData([]byte{unix.NFPROTO_UNSPEC, 0, 0, 0})
	return req.ExecuteIter(unix.NETLINK_NETFILTER, 0, func(b []byte) bool {
		take(b)
		return true
	})
}
