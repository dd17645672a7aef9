//! Geometry of CoreGraphics: the functions that `core-graphics-types` declares, of which `metal` uses the types.

#![allow(clippy::missing_safety_doc)] // They take numbers.

use std::ffi::c_int;

/// `CGPoint`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
}

/// `CGSize`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Size {
    pub(crate) width: f64,
    pub(crate) height: f64,
}

/// `CGRect`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rect {
    pub(crate) origin: Point,
    pub(crate) size: Size,
}

/// `CGAffineTransform`: `x' = ax + cy + tx`, `y' = bx + dy + ty`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Affine {
    pub(crate) a: f64,
    pub(crate) b: f64,
    pub(crate) c: f64,
    pub(crate) d: f64,
    pub(crate) tx: f64,
    pub(crate) ty: f64,
}

/// `CGRectNull`: at an infinite distance, and empty.
const NULL: Rect = Rect {
    origin: Point { x: f64::INFINITY, y: f64::INFINITY },
    size: Size { width: 0.0, height: 0.0 },
};

impl Rect {
    fn is_null(&self) -> bool {
        self.origin.x == f64::INFINITY || self.origin.y == f64::INFINITY
    }

    /// The smallest and the largest coordinates, whichever sign the size has.
    fn bounds(&self) -> [Point; 2] {
        let other =
            Point { x: self.origin.x + self.size.width, y: self.origin.y + self.size.height };
        let one = self.origin;
        [
            Point { x: one.x.min(other.x), y: one.y.min(other.y) },
            Point { x: one.x.max(other.x), y: one.y.max(other.y) },
        ]
    }

    fn between(low: Point, high: Point) -> Self {
        Self { origin: low, size: Size { width: high.x - low.x, height: high.y - low.y } }
    }

    fn is_empty(&self) -> bool {
        self.is_null() || self.size.width == 0.0 || self.size.height == 0.0
    }
}

impl Affine {
    fn apply(&self, point: Point) -> Point {
        Point {
            x: self.a * point.x + self.c * point.y + self.tx,
            y: self.b * point.x + self.d * point.y + self.ty,
        }
    }
}

/// A rectangle that is smaller on each side; the null rectangle if nothing is left.
pub(crate) unsafe extern "C" fn CGRectInset(rect: Rect, dx: f64, dy: f64) -> Rect {
    if rect.is_null() {
        return rect;
    }
    let [low, high] = rect.bounds();
    let inner = Rect::between(
        Point { x: low.x + dx, y: low.y + dy },
        Point { x: high.x - dx, y: high.y - dy },
    );
    if inner.size.width < 0.0 || inner.size.height < 0.0 { NULL } else { inner }
}

/// Whether a rectangle has no area.
pub(crate) unsafe extern "C" fn CGRectIsEmpty(rect: Rect) -> c_int {
    rect.is_empty().into()
}

/// Whether the common part of two rectangles is not null: rectangles that touch have one.
pub(crate) unsafe extern "C" fn CGRectIntersectsRect(one: Rect, other: Rect) -> c_int {
    let ([low, high], [other_low, other_high]) = (one.bounds(), other.bounds());
    let meets = low.x <= other_high.x
        && other_low.x <= high.x
        && low.y <= other_high.y
        && other_low.y <= high.y;
    (!one.is_null() && !other.is_null() && meets).into()
}

/// Whether a point is inside, or on the left or the upper edge.
pub(crate) unsafe extern "C" fn CGRectContainsPoint(rect: Rect, point: Point) -> c_int {
    let [low, high] = rect.bounds();
    let inside = (low.x..high.x).contains(&point.x) && (low.y..high.y).contains(&point.y);
    (!rect.is_empty() && inside).into()
}

/// The inverse; the transform itself if it has none.
pub(crate) unsafe extern "C" fn CGAffineTransformInvert(of: Affine) -> Affine {
    let Affine { a, b, c, d, tx, ty } = of;
    let determinant = a * d - b * c;
    if determinant == 0.0 {
        return of;
    }
    Affine {
        a: d / determinant,
        b: -b / determinant,
        c: -c / determinant,
        d: a / determinant,
        tx: (c * ty - d * tx) / determinant,
        ty: (b * tx - a * ty) / determinant,
    }
}

/// A point, transformed.
pub(crate) unsafe extern "C" fn CGPointApplyAffineTransform(point: Point, by: Affine) -> Point {
    by.apply(point)
}

/// A size, transformed as a distance is.
pub(crate) unsafe extern "C" fn CGSizeApplyAffineTransform(size: Size, by: Affine) -> Size {
    let Point { x, y } =
        Affine { tx: 0.0, ty: 0.0, ..by }.apply(Point { x: size.width, y: size.height });
    Size { width: x, height: y }
}

/// The smallest rectangle that has the transformed corners of another.
pub(crate) unsafe extern "C" fn CGRectApplyAffineTransform(rect: Rect, by: Affine) -> Rect {
    if rect.is_null() {
        return rect;
    }
    let [low, high] = rect.bounds();
    let corners = [(low.x, low.y), (low.x, high.y), (high.x, low.y), (high.x, high.y)]
        .map(|(x, y)| by.apply(Point { x, y }));
    let extreme = |of: fn(f64, f64) -> f64| {
        corners
            .into_iter()
            .reduce(|one, other| Point { x: of(one.x, other.x), y: of(one.y, other.y) })
    };
    match (extreme(f64::min), extreme(f64::max)) {
        (Some(low), Some(high)) => Rect::between(low, high),
        _ => NULL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rect(x: f64, y: f64, width: f64, height: f64) -> Rect {
        Rect { origin: Point { x, y }, size: Size { width, height } }
    }

    #[test]
    fn rectangles_meet_contain_and_shrink() {
        // SAFETY: numbers.
        unsafe {
            let one = rect(0.0, 0.0, 4.0, 2.0);
            // A negative size is the same rectangle from another corner.
            for same in [one, rect(4.0, 2.0, -4.0, -2.0)] {
                assert_eq!(CGRectInset(same, 1.0, 0.5), rect(1.0, 0.5, 2.0, 1.0));
                assert_eq!(CGRectIntersectsRect(same, rect(3.0, 1.0, 5.0, 5.0)), 1);
                assert_eq!(CGRectIntersectsRect(same, rect(4.0, 0.0, 1.0, 1.0)), 1);
                assert_eq!(CGRectIntersectsRect(same, rect(5.0, 0.0, 1.0, 1.0)), 0);
                let inside = [(0.0, 0.0), (3.9, 1.9), (4.0, 1.0), (1.0, 2.0), (-0.1, 1.0)];
                let inside = inside.map(|(x, y)| CGRectContainsPoint(same, Point { x, y }));
                assert_eq!(inside, [1, 1, 0, 0, 0]);
            }
            assert_eq!(CGRectInset(one, 3.0, 0.0), NULL);
            assert_eq!([CGRectIsEmpty(one), CGRectIsEmpty(NULL)], [0, 1]);
            assert_eq!(CGRectIsEmpty(rect(1.0, 1.0, 0.0, 5.0)), 1);
            assert_eq!(CGRectIntersectsRect(NULL, one), 0);
        }
    }

    #[test]
    fn transforms_are_applied_and_inverted() {
        // A quarter of a turn, twice the size, and a shift.
        let by = Affine { a: 0.0, b: 2.0, c: -2.0, d: 0.0, tx: 10.0, ty: 20.0 };
        // SAFETY: numbers.
        unsafe {
            let point = CGPointApplyAffineTransform(Point { x: 1.0, y: 3.0 }, by);
            assert_eq!(point, Point { x: 4.0, y: 22.0 });
            let back = CGPointApplyAffineTransform(point, CGAffineTransformInvert(by));
            assert_eq!(back, Point { x: 1.0, y: 3.0 });
            let size = CGSizeApplyAffineTransform(Size { width: 1.0, height: 3.0 }, by);
            assert_eq!(size, Size { width: -6.0, height: 2.0 });
            let turned = CGRectApplyAffineTransform(rect(0.0, 0.0, 1.0, 3.0), by);
            assert_eq!(turned, rect(4.0, 20.0, 6.0, 2.0));
            let flat = Affine { a: 1.0, b: 1.0, c: 1.0, d: 1.0, tx: 0.0, ty: 0.0 };
            assert_eq!(CGAffineTransformInvert(flat), flat);
        }
    }
}
