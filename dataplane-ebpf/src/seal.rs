//! Reading what belongs to a tenant: a copy of the value, believed if it is whole and of the scope that was asked for.
//!
//! An element that was removed or replaced is not kept for those who still read it (Linux 6.1: `bpf_mem_alloc`), so a
//! program may find another tenant's value behind the pointer that it was given, or words of both.

use core::mem::MaybeUninit;

use weft_dataplane_abi::{DropReason, Scope, Sealed};

/// How often a value is looked up that is not to be believed.
const TRIES: u32 = 2;

/// What a look-up finds, if anything.
pub type Found<T> = Result<Option<T>, DropReason>;

/// A copy of what `find` finds in an entry of `scope`. What is not to be believed is looked up once more: the entry is
/// there again, or gone.
#[inline(always)]
pub fn believed<T: Sealed>(scope: Scope, find: impl Fn() -> Option<*const T>) -> Found<T> {
    let mut place = MaybeUninit::<T>::uninit();
    Ok(believed_in(&mut place, scope, find)?.copied())
}

/// The same, with the copy in a place that is not the stack's, of which there is little.
#[inline(always)]
pub fn believed_in<T: Sealed>(
    place: &mut MaybeUninit<T>,
    scope: Scope,
    find: impl Fn() -> Option<*const T>,
) -> Found<&T> {
    let mut tries = 0;
    while tries < TRIES {
        let Some(value) = find() else { return Ok(None) };
        copy(value, place);
        // SAFETY: every word was written, and any bits make a value (`FromBytes`).
        if unsafe { place.assume_init_ref() }.is_of(scope) {
            // SAFETY: as above.
            return Ok(Some(unsafe { place.assume_init_ref() }));
        }
        tries += 1;
    }
    Err(DropReason::TableChanged)
}

/// Word by word, each read once: what the seal was right of is what is used, whatever is written there meanwhile.
#[inline(always)]
fn copy<T: Sealed>(value: *const T, place: &mut MaybeUninit<T>) {
    const { assert!(size_of::<T>().is_multiple_of(4) && align_of::<T>() == 4) };
    let mut word = 0;
    while word < size_of::<T>() / 4 {
        // SAFETY: the pointer is to a value of a map, whose memory stays that of the map while the program runs; the
        // word is within it, and aligned as the type is, and within the place likewise.
        unsafe {
            place.as_mut_ptr().cast::<u32>().add(word).write(value.cast::<u32>().add(word).read_volatile());
        }
        word += 1;
    }
}
