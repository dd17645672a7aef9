//! Autorelease pools.

use super::*;
use crate::soft::runtime::pool::extent;

fn count(object: Id) -> usize {
    send!(object, "retainCount"; usize)
}

/// Runs a test on a thread whose stack of pools is new.
fn alone(test: impl FnOnce() + Send + 'static) {
    std::thread::spawn(test).join().unwrap();
}

#[test]
fn pools_nest() {
    alone(|| {
        let object = string("pooled");
        // SAFETY: the object is owned, each autorelease has its retain, tokens are this thread's.
        unsafe {
            let outer = objc_autoreleasePoolPush();
            objc_autorelease(objc_retain(object));
            let inner = objc_autoreleasePoolPush();
            send!(objc_retain(object), "autorelease"; Id);
            assert_eq!(count(object), 3);
            objc_autoreleasePoolPop(inner);
            assert_eq!(count(object), 2);
            // An outer pool takes the inner ones that are left with it.
            objc_autoreleasePoolPush();
            objc_autorelease(objc_retain(object));
            objc_autoreleasePoolPop(outer);
            assert_eq!(count(object), 1);
            assert_eq!(extent().0, 0);
            objc_release(object);
        }
    });
}

#[test]
fn a_million_autoreleases_stay_flat() {
    alone(|| {
        let object = string("flat");
        let mut pages = 0;
        for round in 0..scale(1_000, 50) {
            // SAFETY: as above.
            unsafe {
                let pool = objc_autoreleasePoolPush();
                for _ in 0..1_000 {
                    objc_autorelease(objc_retain(object));
                }
                objc_autoreleasePoolPop(pool);
            }
            if round == 0 {
                pages = extent().1;
            }
        }
        assert_eq!((count(object), extent()), (1, (0, pages)));
        assert!(pages <= 2, "one page and a spare one are kept, not {pages}");
        // SAFETY: owned here.
        unsafe { objc_release(object) };
    });
}

#[test]
fn a_spare_page_is_kept_at_a_boundary() {
    alone(|| {
        let object = string("boundary");
        // SAFETY: as above.
        unsafe {
            let outer = objc_autoreleasePoolPush();
            for _ in 0..511 {
                objc_autorelease(objc_retain(object));
            }
            for _ in 0..10 {
                let pool = objc_autoreleasePoolPush();
                assert_eq!(extent(), (513, 2));
                objc_autoreleasePoolPop(pool);
                assert_eq!(extent(), (512, 2), "the second page would be made again and again");
            }
            objc_autoreleasePoolPop(outer);
            objc_release(object);
        }
    });
}

#[test]
fn handshakes_without_a_pool_stay_flat() {
    alone(|| {
        let object = string("handshake");
        for _ in 0..50_000 {
            // SAFETY: each return has its retain; what comes back is released.
            unsafe {
                let returned = objc_autoreleaseReturnValue(objc_retain(object));
                objc_release(objc_retainAutoreleasedReturnValue(returned));
            }
        }
        assert_eq!((count(object), extent()), (1, (0, 0)), "the stack is not used");
        // And through a real method: every returned object is added anew and taken away again.
        let own = send!(object, "description"; Id);
        assert_eq!((own, count(object), extent().0), (object, 2, 1));
        // SAFETY: the result of the last message.
        unsafe {
            objc_retainAutoreleasedReturnValue(own);
            assert_eq!((count(object), extent().0), (2, 0));
            objc_release(own);
            objc_release(object);
        }
    });
}

/// The last returned object belongs to the pool that was innermost then, and is released with it, or with the thread.
#[test]
fn what_was_returned_last_belongs_to_its_pool() {
    alone(|| {
        let object = string("last");
        // SAFETY: each return has its retain, tokens are this thread's.
        unsafe {
            let outer = objc_autoreleasePoolPush();
            objc_autoreleaseReturnValue(objc_retain(object));
            let inner = objc_autoreleasePoolPush();
            objc_autoreleaseReturnValue(objc_retain(object));
            objc_autoreleaseReturnValue(objc_retain(object));
            assert_eq!(count(object), 4);
            objc_autoreleasePoolPop(inner);
            assert_eq!(count(object), 2);
            objc_autoreleasePoolPop(outer);
            assert_eq!((count(object), extent().0), (1, 0));
            // Nothing has pushed to the stack of that thread.
            let address = object.as_ptr().addr();
            let work = move || {
                let object = Id::from_ptr(std::ptr::with_exposed_provenance_mut(address));
                objc_autoreleaseReturnValue(objc_retain(object));
            };
            _ = object.as_ptr().expose_provenance();
            std::thread::spawn(work).join().unwrap();
            assert_eq!(count(object), 1);
            objc_release(object);
        }
    });
}

#[test]
fn an_object_that_was_not_claimed_stays_in_the_pool() {
    alone(|| {
        let (a, b) = (string("a"), string("b"));
        // SAFETY: as above.
        unsafe {
            let pool = objc_autoreleasePoolPush();
            objc_autoreleaseReturnValue(objc_retain(a));
            // Another object came after it, so this retain is a retain.
            objc_autorelease(objc_retain(b));
            objc_retainAutoreleasedReturnValue(a);
            assert_eq!((count(a), count(b)), (3, 2));
            // One that no method has returned is not taken either.
            objc_retainAutoreleasedReturnValue(b);
            assert_eq!(count(b), 3);
            objc_autoreleasePoolPop(pool);
            assert_eq!((count(a), count(b)), (2, 2));
            assert_eq!(objc_retainAutoreleasedReturnValue(Id::NIL), Id::NIL);
            for object in [a, a, b, b] {
                objc_release(object);
            }
        }
    });
}

#[test]
fn a_thread_releases_autoreleased_objects_when_it_ends() {
    let object = string("left behind");
    // SAFETY: as above.
    unsafe {
        let (address, inner) = (object, object);
        objc_retain(object);
        objc_retain(object);
        alone(move || {
            objc_autorelease(address);
            objc_autoreleasePoolPush();
            objc_autorelease(inner);
        });
        assert_eq!(count(object), 1);
        objc_release(object);
    }
}

#[test]
fn a_pool_is_drained_on_unwind() {
    struct Pool(*mut std::ffi::c_void);
    impl Drop for Pool {
        fn drop(&mut self) {
            // SAFETY: the token of this thread's innermost pool.
            unsafe { objc_autoreleasePoolPop(self.0) }
        }
    }
    let object = string("unwound");
    let unwound = std::panic::catch_unwind(|| {
        // SAFETY: as above.
        let _pool = unsafe { Pool(objc_autoreleasePoolPush()) };
        // SAFETY: as above.
        unsafe { objc_autorelease(objc_retain(object)) };
        std::panic::resume_unwind(Box::new(()));
    });
    assert!(unwound.is_err());
    assert_eq!(count(object), 1);
    // SAFETY: owned here.
    unsafe { objc_release(object) };
}

unsafe extern "C" fn dealloc_that_autoreleases(object: Id, selector: Sel) {
    type Dealloc = unsafe extern "C" fn(Id, Sel);
    // SAFETY: a new string, given away; then NSObject's own `dealloc`.
    unsafe {
        objc_autorelease(string("pushed while draining"));
        let imp = class_getMethodImplementation(class("NSObject"), selector).unwrap();
        std::mem::transmute::<Imp, Dealloc>(imp)(object, selector);
    }
}

#[test]
fn draining_may_push_more() {
    alone(|| {
        let pusher = subclass(class("NSObject"), "Pusher");
        type Dealloc = unsafe extern "C" fn(Id, Sel);
        add(pusher, "dealloc", imp!(dealloc_that_autoreleases as Dealloc), c"v@:");
        // SAFETY: as above.
        unsafe {
            let pool = objc_autoreleasePoolPush();
            for _ in 0..10 {
                objc_autorelease(new(pusher));
            }
            objc_autoreleasePoolPop(pool);
        }
        assert_eq!(extent().0, 0);
    });
}

/// One spare page of a pool is kept, at a boundary too.
#[test]
fn one_spare_page_is_kept() {
    alone(|| {
        let object = string("spare");
        // SAFETY: as above.
        unsafe {
            let pool = objc_autoreleasePoolPush();
            for _ in 0..510 {
                objc_autorelease(objc_retain(object));
            }
            assert_eq!(extent(), (511, 1));
            for _ in 0..10 {
                let pool = objc_autoreleasePoolPush();
                objc_autorelease(objc_retain(object));
                assert_eq!(extent(), (513, 2));
                objc_autoreleasePoolPop(pool);
                assert_eq!(extent(), (511, 2));
            }
            for _ in 0..1000 {
                objc_autorelease(objc_retain(object));
            }
            assert_eq!(extent(), (1511, 3));
            objc_autoreleasePoolPop(pool);
            assert_eq!((count(object), extent()), (1, (0, 2)));
            objc_release(object);
        }
    });
}

/// An object that was left in its pool is not taken out by the next caller that claims a returned object.
#[test]
fn an_object_left_in_a_pool_is_not_claimed() {
    alone(|| {
        let object = string("left");
        // SAFETY: as above.
        unsafe {
            let pool = objc_autoreleasePoolPush();
            leave_in_pool(objc_autoreleaseReturnValue(objc_retain(object)));
            assert_eq!((count(object), extent().0), (2, 2));
            assert_eq!(objc_retainAutoreleasedReturnValue(object), object);
            assert_eq!((count(object), extent().0), (3, 2), "retained, and still in the pool");
            objc_release(object);
            objc_autoreleasePoolPop(pool);
            assert_eq!(count(object), 1);
            objc_release(object);
        }
    });
}
