//! The one place that touches packet memory.
//!
//! A [`Packet`] is a view of the bytes between a context's `data` and `data_end`, whether that context is of TC or
//! XDP. It borrows its context, so that no view outlives a helper that moves the packet. Header types are made of
//! bytes only (alignment 1), so that any offset is fine.

use core::marker::PhantomData;

use weft_dataplane_abi::DropReason;

/// Types without padding or invalid bit patterns, alignment 1: what a packet may be read and written as.
///
/// # Safety
/// The implementor is `repr(C)` and made of `u8` and arrays of them only.
pub unsafe trait Wire {}

// SAFETY: bytes.
unsafe impl<const N: usize> Wire for [u8; N] {}

/// The linear bytes of a packet.
pub struct Packet<'a> {
    start: usize,
    end: usize,
    context: PhantomData<&'a mut [u8]>,
}

impl Packet<'_> {
    /// The bytes from `start` up to `end`.
    ///
    /// # Safety
    /// They are the `data` and `data_end` of a context that is not changed while the view lives.
    #[inline(always)]
    pub unsafe fn new(start: usize, end: usize) -> Self {
        Self { start, end, context: PhantomData }
    }

    /// Reads a header.
    #[inline(always)]
    pub fn get<T: Wire>(&self, offset: usize) -> Result<&T, DropReason> {
        // SAFETY: `check` saw that the bytes are there, and any bytes are a `T`.
        self.check::<T>(offset).map(|header| unsafe { &*header })
    }

    /// Reads a header to be changed in place.
    #[inline(always)]
    pub fn get_mut<T: Wire>(&mut self, offset: usize) -> Result<&mut T, DropReason> {
        // SAFETY: as in `get`; `&mut self` keeps other views of the bytes away.
        self.check::<T>(offset).map(|header| unsafe { &mut *header })
    }

    /// Pointer to a whole `T` at `offset`, in the form that the kernel's verifier recognises as a bounds check.
    #[inline(always)]
    fn check<T>(&self, offset: usize) -> Result<*mut T, DropReason> {
        let header = self.start + offset;
        if header + size_of::<T>() > self.end {
            return Err(DropReason::Malformed);
        }
        Ok(header as *mut T)
    }
}
