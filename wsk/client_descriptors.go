// SPDX-License-Identifier: Apache-2.0

package wsk

import "encoding/binary"

// descriptorCache is what WSK_CACHE_SD has cached for a client, by handle and by content. The client's mutex guards it.
type descriptorCache struct {
	last     uint64
	byHandle map[uint64]*SecurityDescriptor
	byRaw    map[string]*SecurityDescriptor
}

// CacheSecurityDescriptor is WSK_CACHE_SD with a typed result, see [ProviderNPI.ControlClient].
func (npi *ProviderNPI) CacheSecurityDescriptor(raw []byte) (*SecurityDescriptor, NTSTATUS) {
	var handle [sizeofHandle]byte
	var size uintptr
	status := npi.ControlClient(WSK_CACHE_SD, raw, handle[:], &size, nil)
	if status != STATUS_SUCCESS {
		return nil, status
	}
	return npi.Client.descriptor(binary.LittleEndian.Uint64(handle[:])), STATUS_SUCCESS
}

// cacheDescriptor is WSK_CACHE_SD. Caching the same content again gives the same descriptor one more reference.
func (c *Client) cacheDescriptor(input, output []byte) (int, NTSTATUS) {
	share, ok := parseDescriptor(input)
	if !ok {
		return 0, STATUS_INVALID_PARAMETER
	}
	if len(output) < sizeofHandle {
		return 0, STATUS_BUFFER_TOO_SMALL
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cache := &c.descriptors
	sd := cache.byRaw[string(input)]
	if sd == nil {
		if cache.byRaw == nil {
			cache.byRaw = map[string]*SecurityDescriptor{}
			cache.byHandle = map[uint64]*SecurityDescriptor{}
		}
		cache.last++
		sd = &SecurityDescriptor{client: c, handle: cache.last, raw: string(input), share: share}
		cache.byRaw[sd.raw], cache.byHandle[sd.handle] = sd, sd
	}
	sd.refs++
	binary.LittleEndian.PutUint64(output, sd.handle)
	return sizeofHandle, STATUS_SUCCESS
}

// releaseDescriptor is WSK_RELEASE_SD. With the last reference the handle becomes invalid; sockets that have the
// descriptor keep it.
func (c *Client) releaseDescriptor(input []byte) NTSTATUS {
	if len(input) != sizeofHandle {
		return STATUS_INVALID_PARAMETER
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	cache := &c.descriptors
	sd := cache.byHandle[binary.LittleEndian.Uint64(input)]
	if sd == nil {
		return STATUS_INVALID_PARAMETER
	}
	if sd.refs--; sd.refs == 0 {
		delete(cache.byHandle, sd.handle)
		delete(cache.byRaw, sd.raw)
	}
	return STATUS_SUCCESS
}

// descriptor is the cached descriptor of a handle, or nil.
func (c *Client) descriptor(handle uint64) *SecurityDescriptor {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.descriptors.byHandle[handle]
}

// cached reports whether sd is a descriptor of this client's that still has a reference.
func (c *Client) cached(sd *SecurityDescriptor) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sd.client == c && sd.refs > 0
}
