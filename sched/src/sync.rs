//! What threads of execution share: the real thing, or loom's, which tries every order that the memory model allows.

#[cfg(not(loom))]
pub use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};
#[cfg(loom)]
pub use loom::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicUsize, Ordering, fence};

#[cfg(not(loom))]
pub use crate::order::Class;
#[cfg(not(loom))]
type Inner<T> = spin::Mutex<T>;
/// The order of locks is looked at where there is a machine below: a model tries what comes of it.
#[cfg(loom)]
#[derive(Clone, Copy)]
pub enum Class {
    Sleepers,
    Queue,
    Slots,
    Name,
}
#[cfg(loom)]
type Inner<T> = loom::sync::Mutex<T>;

#[cfg(not(loom))]
use crate::lock;

/// A `const fn` where there is a machine below; loom's types are made when the model runs.
macro_rules! const_unless_loom {
    ($(#[$attribute:meta])* $visible:vis fn $name:ident($($argument:ident: $type:ty),*) -> $result:ty $body:block) => {
        $(#[$attribute])*
        #[cfg(not(loom))]
        $visible const fn $name($($argument: $type),*) -> $result $body
        $(#[$attribute])*
        #[cfg(loom)]
        $visible fn $name($($argument: $type),*) -> $result $body
    };
}

/// An array with this in each place.
macro_rules! each {
    ($value:expr) => {{
        #[cfg(not(loom))]
        let array = [const { $value }; _];
        #[cfg(loom)]
        let array = core::array::from_fn(|_| $value);
        array
    }};
}

pub(crate) use {const_unless_loom, each};

/// A lock that is waited for by trying again.
pub struct Mutex<T> {
    value: Inner<T>,
    #[cfg(not(loom))]
    class: Class,
}

impl<T> Mutex<T> {
    const_unless_loom! {
        /// A lock around `value`, with its place in the order.
        pub fn new(_class: Class, value: T) -> Self {
            Self {
                value: Inner::new(value),
                #[cfg(not(loom))]
                class: _class,
            }
        }
    }

    /// Does `work` while nobody else has the lock.
    pub fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        #[cfg(not(loom))]
        return {
            let _mark = lock::mark(self.class);
            work(&mut self.value.lock())
        };
        #[cfg(loom)]
        return work(&mut self.value.lock().expect("a model stops at its first panic"));
    }

    /// Does `work` unless somebody has the lock.
    pub fn try_with<R>(&self, work: impl FnOnce(&mut T) -> R) -> Option<R> {
        #[cfg(not(loom))]
        return self.value.try_lock().map(|mut value| work(&mut value));
        #[cfg(loom)]
        return self.value.try_lock().ok().map(|mut value| work(&mut value));
    }
}
