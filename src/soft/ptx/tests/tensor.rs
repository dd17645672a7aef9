//! Products by tensor cores, and the fragments that they are made of.

use super::super::emit::Options;
use super::text_of;

/// Products of the matrices that a thread loads, of a type, with one right factor.
fn products(scalar: &str) -> String {
    format!(
        "kernel void k(device {scalar} *x, device float *y, uint g [[threadgroup_position_in_grid]]) {{
            metal::simdgroup_matrix<{scalar}, 8, 8> a, b, c;
            metal::simdgroup_matrix<float, 8, 8> s(0), t(0);
            for (uint i = 0; i < 4; i++) {{
                simdgroup_load(a, x + 192 * i, 8);
                simdgroup_load(b, x + 192 * i + 64, 8);
                simdgroup_load(c, x + 192 * i + 128, 8);
                simdgroup_multiply_accumulate(s, a, c, s);
                simdgroup_multiply_accumulate(t, b, c, t);
            }}
            simdgroup_store(s, y + 128 * g, 8);
            simdgroup_store(t, y + 128 * g + 64, 8); }}"
    )
}

#[test]
fn tensor_cores_multiply_two_matrices_of_halves_at_once() {
    for target in [80, 90] {
        let options = Options {
            target,
            threads: 256,
            alignment: 16,
            checked: true,
            tensor: true,
            ..Options::default()
        };
        for (scalar, ty) in [("half", "f16"), ("bfloat", "bf16")] {
            let text = text_of(&products(scalar), options);
            let name = format!("mma.sync.aligned.m16n8k8.row.col.f32.{ty}.{ty}.f32 ");
            // In the version of the loop without checks, and in that with checks.
            let (found, transposed) =
                (text.matches(&name).count(), text.matches("movmatrix").count());
            assert!(found >= 1 && found == transposed, "{found}, {transposed}: {text}");
            assert!(!text.contains("shfl") && !text.contains("fma"), "{text}");
            let exact = text_of(&products(scalar), Options { tensor: false, ..options });
            assert!(exact.contains("fma.rn.f32") && !exact.contains("mma.sync"), "{exact}");
        }
        // Floats are exact, and so are products where some lanes may be elsewhere.
        let text = text_of(&products("float"), options);
        assert!(text.contains("fma.rn.f32") && !text.contains("mma.sync"), "{text}");
        let source =
            products("half").replacen("g [[", "l [[thread_position_in_grid]], uint g [[", 1);
        let source = source.replacen("]]) {", "]]) { if (l % 3 == 0) return;", 1);
        let text = text_of(&source, options);
        assert!(text.contains("fma.rn.f32") && !text.contains("mma.sync"), "{text}");
    }
}

/// Products of tiles in threadgroup memory, as MLX loads them: a lane has two elements of a row; `also` is more of each iteration.
fn tiles(scalar: &str, also: &str) -> String {
    format!(
        "using namespace metal;
        kernel void k(device const {scalar} *x, device float *y, constant uint &n, uint i [[thread_index_in_threadgroup]]) {{
            threadgroup {scalar} a[384], b[384];
            uint quad = i / 4, row = (quad & 4) + i / 2 % 4, column = (quad & 2) * 2 + i % 2 * 2;
            threadgroup const {scalar} *p = a + 24 * row + column, *q = b + 24 * row + column;
            simdgroup_matrix<{scalar}, 8, 8> left[2], right[2];
            simdgroup_matrix<float, 8, 8> sum[2] = {{simdgroup_matrix<float, 8, 8>(0), simdgroup_matrix<float, 8, 8>(0)}};
            for (uint k = 0; k < n; k++) {{
                threadgroup_barrier(mem_flags::mem_threadgroup);
                a[i] = x[64 * k + i];
                b[i] = x[64 * k + 32 + i];
                threadgroup_barrier(mem_flags::mem_threadgroup);
                for (uint j = 0; j < 2; j++)
                    for (uint e = 0; e < 2; e++) left[j].thread_elements()[e] = p[192 * j + e];
                for (uint j = 0; j < 2; j++)
                    for (uint e = 0; e < 2; e++) right[j].thread_elements()[e] = q[192 * j + e];
                for (uint j = 0; j < 2; j++) simdgroup_multiply_accumulate(sum[j], left[j], right[j], sum[j]);
                {also}
            }}
            simdgroup_store(sum[0], y, 8);
            simdgroup_store(sum[1], y + 64, 8); }}"
    )
}

/// Of launches whose rows of threads are SIMD-groups.
fn of_whole_rows() -> Options {
    Options {
        target: 90,
        threads: 256,
        alignment: 16,
        checked: true,
        whole: true,
        tensor: true,
        ..Options::default()
    }
}

#[test]
fn matrices_in_threadgroup_memory_are_loaded_as_fragments_in_the_version_without_checks() {
    let found = |scalar: &str, also: &str| {
        let text = text_of(&tiles(scalar, also), of_whole_rows());
        ["x2.shared", "x2.trans", "x1.trans", "movmatrix"].map(|name| text.matches(name).count())
    };
    for scalar in ["half", "bfloat"] {
        // The other two versions transpose two right factors each.
        assert_eq!(found(scalar, ""), [1, 1, 0, 4], "{scalar}");
        // Of a matrix that is a left and a right factor, and of one whose elements something else needs, each lane loads its elements.
        let both = "simdgroup_multiply_accumulate(sum[0], right[0], left[1], sum[0]);";
        assert_eq!(found(scalar, both)[..3], [0, 0, 1], "{scalar}");
        let also =
            "y[200 + k] = float(left[0].thread_elements()[0] + right[0].thread_elements()[1]);";
        assert_eq!(found(scalar, also), [0, 0, 1, 5], "{scalar}");
    }
}

#[test]
fn rows_that_are_not_aligned_do_not_send_a_loop_to_its_version_with_checks() {
    let text = text_of(&tiles("half", ""), of_whole_rows());
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    // Where the branches after the two votes go.
    let targets: Vec<usize> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("vote.sync.any.pred ")?.split_once(','))
        .map(|(predicate, _)| {
            let branch = format!("@{predicate} bra ");
            let target = lines.iter().find_map(|line| line.strip_prefix(&branch));
            let label = target.expect("a branch").replace(';', ":");
            lines.iter().position(|line| *line == label).expect("a label")
        })
        .collect();
    let [plain, slow] = targets[..] else { panic!("{targets:?}: {text}") };
    assert!(plain < slow, "{text}");
    let parts = [0..plain, plain..slow, slow..lines.len()];
    let counts = |what: &str| {
        parts.clone().map(|part| lines[part].iter().filter(|line| line.contains(what)).count())
    };
    // A loop with fragments, one without them, and one with checks.
    assert_eq!((counts("ldmatrix"), counts("mma.sync")), ([2, 0, 0], [2, 2, 2]), "{text}");
    let [_, of_plain, of_slow] = counts("setp.ge");
    assert!(of_plain == 0 && of_slow != 0, "{text}");
}
