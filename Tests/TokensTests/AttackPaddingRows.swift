// Signatures over one access token under one RSA key with exponent 3, made with the private key by plain
// exponentiation, so that the encoding under the signature is whatever each row says; one was made without it.

/// Its key, as the issuer publishes it.
let cubedKey = """
    {"kty":"RSA","kid":"f","alg":"RS256","e":"Aw","n":"\
    3rWaUZby81mliuAmPJ5ag9CyNUxk736lTO-UancQMpzvbzhOoCc2gBQ-csKs4eH6tiCNRaglACZt6ErDVT9zuXSAliehAWZVwz5R\
    XuhVNTay6hWTfFTZkzHzuH0ZGB_HVMY71_GP_h9YlBclCUIqUtiFTHFEvYwqCyAb2vTbao4mjKexM1iyi887g2SBEuoYdbgQXRFw\
    gOnTXGagT-LbWQbyYP2O6S8UdxNNijLX4Nj6bimVOwEEAjXTEjLHyPnV1dJeA0tnP-3omp3gfU3KxfktMgalPdMLoRz4uLAdRqoO\
    k0CtVb1oKCKZV819NRJr9p4PafuERAbJ8jXaF198ZQ"}
    """

/// What is signed is `header(kid f)` and `claims()`.
let cubedSignatures: [(what: String, signature: String)] = [
    (
        "the right encoding",
        """
        iqh-8cKDsBDBzV_PMFxHSKpujSrEc4o4ip5svMJqIYlObcov-ez3hiLVQqN4JfpzwCyfdmL4GpEr3nmJyJKlcILC_CW3QwNDRQrC\
        PtXc4dINFeKlWjg1KxAWZHknnrMooxYE7W4EixgjuFiv9GkxHnEMVkHVfbbcbziSdl2qD1ewhXXeViHyhVk1WVOSGFIgEamAsT2S\
        0ReC-01xdk-WzO5y-JmyYxFe4S_ucYADY_x8LBeNKOPsOFFk3pH9rUDXHeL1GOLY8zQPxyO0gA-sXCBhLw-HfRarQt7mkAo_GNfM\
        JsFkyDopz0WYZFY3x4dnjAujOIpO4uxZ4cQTwlTQbw
        """
    ),
    (
        "a cube root made without the private key, garbage behind the digest",
        """
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
        AAAAAAAAAAAAAAAAAAAAAAAAAAAAMsv9SnrceQVYPXZ1IPUWQHWRdtN4JvLvY649x60wzTOvcWU7Egvv_njhdWy-CKde8dBTbd2T\
        iLQWdyNDx-DLRrD6p-OgNH__Ql9PT1ogbvMrNfoFgw
        """
    ),
    (
        "garbage behind the digest",
        """
        2IZ1MhRnXiu_ochSrDY0RxxFf2ZzQ45pCwLYxuRxiMrJq3gdPTlSwiq3qi9L5rIERieIQmfa62OKlz7ihAblGlAdM48yjz3m5OJD\
        odwThQbZF89tQra_BtDzOy-G6HDD_1jc4Nv8kf5uiCAgqTTjoYrBS-nx45uCw1N3kX7i425YNcxWfg_Gsm_d_u64BCZ-gTRasdSr\
        0qnxY6gADhibJVfkm7Pi0c48ieVE3hiUNt3Yysq7lOjCq3oHjON1rhafR_C_YVhkeZSZiKsoBBjWhiEyiHWUGIlqPmMgTgMFjrtH\
        Y-j8-o9nvTWVo024HUHWFVUyCys94t3ZPJ_aA1EaIg
        """
    ),
    (
        "short padding, zeros behind the digest",
        """
        RQZdKqQg1ed89ci17qehpeAeDs8BnLQPze7GQ9DgvvmH_k4hD-8SPImjSJja4lmINgYLII7wgpdpJ5gi08YNH6y0FU4RZF6JrHE_\
        d2q8_ZPLvdmhthmKyXRX0j1NYNIiVcBsqz_zvVN9qU6RVK1YyijOa6A3kjyiFxmIINkowH7BNnFt6zWoktV3870Jrhx4-PDFXDqu\
        VlsbHYaLYh5BvuRk7dpWFxp6mhOZz3ABM-ApWyI6WG5ujdiElnG35kXOhyLR0OjzePGIFH3YHcg9oUSrSBM7cBZS_ySPUuzUZnXG\
        -9vRrwR2j9Z1BCcjnvieM-oTYIuwVjPvIfqE4snjPg
        """
    ),
    (
        "no NULL in the algorithm",
        """
        FQT3iyGwpKTR18abhXGaSenbWXqysPy8Z9iRBA5xcdmkpQM5tD7KErgKOkJieIPgA6n6X0R-uy2gNt9FTrWmKgCSecjPNFCU2Hbr\
        QPF9ee2dYVVxF7KNEnkUH_lfH_CvvKIypcbdR7RvnWLy-oz0qdgjLTa-LEvtWyLtLbgGFUt4nWRTusUGiN0rHgFJ5jILa38iu-38\
        FZtxPmJMoj8Q6zJylfFLNGarC9QvgcieI5B5OH7a9ajzblMcxPcW1mwD6FUtgvnMJrABQSLWZMHwMg_FisgEbrl1hCDcLo4-leNG\
        ilsppTTHlYU1cQOXY-TnSItHsyQnbdE-eQNyfSAv3A
        """
    ),
    (
        "BER: a long length",
        """
        lkFISSk9BunnbXpWtmkL4n_pzLc3rIKrCpfzRWumaWhoW2ODQrehiSGuMMhOZd2I-0o2cZ4DMKz-SZuNCqOJtnXMp-KqGl2Apr15\
        ya5Du3akAmkJnPVmOviph9ua1BLZtaYdl58kOn7cwroB0I3ENiserGsWo-rhioqHNzgDEDSjh0eg54h2bA8NdUROIjnqQpbU4cHC\
        iNEvAXGWBeu7palF3LHfYIMc-w_UfQ3QdROqng-zxZGIyl76Wc5XuOXheFqyTuxONN1E_S4Yg269BJHfGbn6eLcKH6AtlbjfFqBr\
        OT4C5aeZJgLNN_EsfnhENyr19LyumjP6tAfwp5pgLg
        """
    ),
    (
        "block type 2",
        """
        bdpphQVAX1bTPUGrb9hKYlycuKk8GVBUdUoIUAwrRXs4vMcFgbnmWB_SESv_ScWyWU8LAO8A39SVhPrH2LvmB-AweA4Umuk7POs5\
        XSuTjx7BubUhknqTb-iC6sRaubkcaKTAgbFYWeeKt5Q2ccG5rlBLPJAact9TjiutX9itLzJiy1RNcp3RHpmmxVWu707pfwN6iHpy\
        bpYjBUrCsXkyiAfA3FlyIDFowO5cwGLM5EVnFJhgVmEZVt9pOWl-dh408D6GIDuGOiFz1-FcOSz79pLviEdzZof9gqrJMps7v6bN\
        w2uyGTEJkPHVVp95OolkIhJenuYqg54Rmw6P4QqzFA
        """
    ),
    (
        "block type 0",
        """
        GSiS9kS1WZqOV2a2vuxaCfjo8SSHiPTapi_rX9J1_85hSPTkkfjUHmkreus9HoJWaKGvpzZYLq2VAPQ9ZnKKWPFdrMxG1X-IoOXf\
        XxQO1v1ipnAL-kZ_w_97PSlxk-h3Tt3X_0ck-sQdGj-F4ozfWZy1aCkQUVniHlHZWAva5PbPo1O_EaZ9XV78dRozMHJLHyk7HILr\
        43J1PqDoJKc7GemiHfi0GZ4Szn8_wA7-P_6hMfWHNrXY-kExY_VKoxBwlLPqxX485a-hbHkZBvzVEKZdHB-x11-E2Cd3AU-EAx_Z\
        _H9N8OorIjhOuxzaGyaJdyjmDeUJVx7wQpFD9yMNHA
        """
    ),
    (
        "padding of other bytes",
        """
        pnr0iqisdGniREw0GBIaTYXobem3T4YEoOGBcjyqUeo8yVn_6g0jrJp5rNPliy5G_n7SFi695cHJtLRYz9zwZ_0SH4zmyEYNv-qq\
        EmQCZ2w034vZgWrUVq9xbnUXQjBMTXEBg_1_qGO_8Mgd6uZr1muqTsKTkgAVMdMA5gQjlteXX4MvBvTN3hfM-tKI4SbeImN-8L84\
        8eOB_vXKXC37hLRV7nAmtfs_627maz6kvvG6u-GzKMJGGwiUL3Ruj8whn1tpAV8155RO26SaomPhBcfJsDkkw40aPUFzJ9nzIXaQ\
        eCQ0__DlJE7eBKJsvVch4EfK3bdKPSiRldOW5UW88g
        """
    ),
    (
        "the digest without its algorithm",
        """
        ltyYuCTOkQcgfqR1n-YYzGz0X_un3KIhexj2ewto_tlPFeGdJoth1ulgvqFkRREQ8r5T_QaY0twzQ0MqCdVPuw3hEtrYFN6cr2bg\
        _XN45OtZfl-KWwH-ZSLL6Zr7pLXNFT6baQHeR6Lwy8NnuHkGRx_9L3wzvYnsHEaD0VBx5DSphil_lgnrdBKNSZICZhY7NYqHIVyt\
        lxrURxY2UM5_0MTlNCTqlnANKyJ8r9CD_orcWmlM4I17CaNKEgdUWFsvKc-tzR8_AKq5mHGqpvFlmbJtNSCr_gacOLuPbqCVnblB\
        mkYVUkDcK2bg-nFMOyTU3oWor4AA9BEvNzOAw8nLZw
        """
    ),
    (
        "the identifier of SHA-1",
        """
        y4RLp4nd5ZJ2ikPCnfcV9cTlCp8ulJXdsyi7Fw9xYXwiB1b8MBiV-LQ-ezU_6wRwT7o7VJBtRPnhwA2UFN8g4qR6_fqhNrHQRQIW\
        Xc7ar9huTB1qxF4oKMoTJVVx8VjW6nLbqxBjj5Qat9wlEbK25S-hiNOR9SdLG_K8kI3_Gb1K00ypQOZk2_vDOuSpVDGi2LFTeGFf\
        ntunGnfv7H_kUJFTSM9p_62YlfxABf6-IMvqNnSs-RaeLyGYfKrknUAjUD8ouRwGpSyLYnRZ8oa7I1cpNQZKBsPjbhmizn88ZY9T\
        F5xYtB7LGgVK0m6gLkTRT5bNJtXwGt0MGRhElWjyeQ
        """
    ),
    (
        "the identifier of SHA-512 over this digest",
        """
        0oRoC0jme0oyO35qeu-6xwj9rlNF0aTCVnS2mkgFrdA1bXVco9zMdDnXWPGzDGAvgOriq6MqbW7hQtv2YwGTDn_x6-8QzVi3MZx4\
        Oq8RwD4mZ0jDiEAPAUXqfrshWpe60XgsG7bKHfnzMT37flbQUkvd4RepkXlu_FBZrh0Z33lEodneUd5cTiQ6U57Uf1z6r7Asm-rZ\
        igT5Bu6Bu0S5q0vaZM7U6fNFxVkLIjTCdDElnjKbVLEcbgOB2TW8AMX8XuaT0J-2nvUosmzk7_vPCRZg5aKLEyIC4mIxdwv-5htO\
        BvkeaPsUlZ7hIfp7SGSU6gVdRg-ZiD42RkrMWBCSAw
        """
    ),
    (
        "the modulus minus the signature",
        """
        VA0bX9RvQ0jjvYBXDEITOyZDqCGge_RswlEnrbSmEROhAW4epjo--fFpMB80u-eG9fPtz0Us5ZVCCdE5jKzOSPG9mgHpvmMSfjOP\
        IBJ4U2Sl1DLuIhykaCHdVAPxeWyesbA26oOLcwc02751FNj5NGd49i9vP9VNm-eJZJcxWzZ2BzHS3TbABnYGKhDu-pf4ZA6Pq9Pd\
        r9JQYRku2ZNEjBh_aGPchh21leNfGLLUfNx-QhIIEh0XyeRuM6DKG7j-t-9o6miOTLnY03or_T4eadjMAvcdwLxgXj4SKKXeLdJC\
        bH9IjYM-WN0A83dFbYsEapJsMXE1YRpwEHHGVQqr9g
        """
    ),
]

/// The same key's PSS signatures over the same token with `alg` PS256.
let saltedSignatures: [(what: String, signature: String)] = [
    (
        "the right salt",
        """
        BIEPN9P6yS3a4wWEu0jYRSW-YmC_CrnG9O0tQGQCMG1olIx0GG40-dyXWowc6LjsdyTcBC3p7EPcNNLdjmAFH5UdcXVi8tcKox6Y\
        NH8_78WeE8sLuDyk1r5FDQJJyYiBftXAbizMD1ko06n4SKS8hzhrmijX5IroYTAEN44KDcdipntOPBBMVvRxhu8wZr5GClRneQzW\
        2ztnaNwyAzaWPzXLqfP55RuAEEKZ0d0wqFvZqRkx3CkzFjXj8vu62p3GdFS8WyfSpOieCywZ9MKqT_M1IZivv0xmz2ukfJl1XUV7\
        oxNN8fKNIVVpx4gEGYCz7td7clWzrDOn5Mw22qFA0A
        """
    ),
    (
        "no salt",
        """
        I-UAuYQ4zN9DovzFrdHdfAH_9GD-0fhGgO-MQY8pv0YUjq1cAGYDT-b2cjZXqzLipZZ2849to_Z7-BEV8sCmCZjGqTFLVc2FzSm8\
        o7e_eBFiMMo0jhkLMJwIM-7WHiVKkbltDE0hZ3xFQr13FXW70KuP5YLXg7QuT1sTUaqxzrfwj0009UHT81hufjqrtqM2mog_RqUA\
        dr2hnPKBzteZ9WjuCPjr-imFiNmwCP7a_m6NvOIHA0hwzAaHQLbsV9Ps7PUSebtkcQ25mjhRjDRFiAqRKu9D-7fo_9fU3ApP9NZJ\
        mNj-CjJ-If9i1hk0zy0jq9uLhBCS07eP_DqVPj7unA
        """
    ),
    (
        "a salt of 20 bytes",
        """
        LtI3_6BkXKaNoHR09OSH343Me5TTZH9RulQxXUpWpAcl7b8uTMi7roWyRzIF86GeCijW6d-5QiGyuvWW5B3up-XcBYEagSOKbZYW\
        upIWovTRJktBeoqhKmWMMp-oRfBzn2gUY-LmcmJDz_-4hwlRvK5karE4D4Mv9-Aq_S3CT_0AjwVvS-qeB9arkPJZ7puVA2WTDmYF\
        pVf5wkErEvELnNakIqOV3MbqX0BtQMxVLNkKDuomFk1JCUF-ETyMLFpe-IpAgNCjUYjLS4tahwTH3-NxhgbfUOcSPPgvYQzn20i4\
        KTdMALhvOf7l8j2AX5jYJffC-g003BJqi2g3OKThvA
        """
    ),
    (
        "a salt of 31 bytes",
        """
        iEZ8Lf0B8sCtJpo1NGHFN-M7cCyez3rX5ey8_GN7-HWRj3L3B29X28RdUqlbNs6tFKT6-0XsgJ0R2IanICFsohMM2cI0lJ5QiJ0D\
        0jFsYV0--0S4DqE6JK1E-5oj7_YVIqlOni7qq9SN7JJ4Ek-LecZzwItjGGFNCRMLhJgTpBunZmJXuQdyLIkNBI_idfEsXP__N4vP\
        l4CoxuaBsrVvO5FdX83ZMOjq_hGo2PAqT5if3WmDkvV4H4xSxPkzZRUcaxOW1oNv8Q_0ISNdT3pySK0YhPNAxb1qNJobs23ZGYjQ\
        gDzU2joupKGwOD4TxKj6kBNrFkWOnCSGQloTu1jYaA
        """
    ),
    (
        "a salt of 33 bytes",
        """
        yoRipCwkLZ3vCXmA4YcyUi0zDktqteXuMGg109DCrjGADm0WhBuhW8LJnNocyt8QVRhAWFEg-7nk233BskT4Wb8_6jAAkSCZGl9p\
        qL7SEpxhSLHQ0n9XB1wLMnFSztZ1tzoTlcVE6gqq4yb24IVyEhw-0BiSJXtQn7O_lceVWW3PLdLPc3od5feXY0b8z-OsGEwWadYy\
        UbL6GNeuw0TLuGI9-n4P5a8ZqI8KfDZoNa47P7n7xgvOqyR0wahT97wSwDpcpHjMo53EqaISv7Oz_0sayHPGi1O6Dcv396r-6VSZ\
        8Nwm_3hKzxgSENTE9CgFNyJuFIvNL1pUxNo4YduLlA
        """
    ),
    (
        "the longest salt",
        """
        VAw-XvnhcEgDeDTyN3l3yiIKaicZtu7TBckjHS3cyUtwN_Nx0MWDL2e2dLCXaHi2886u8QlMZz07_JuSO0_LBXKhx-DpiYmuFkTQ\
        47MhB4zNqciyLJYnoKd6MDHWWCChvajLl8Rc9lD9qwgvFeWipO3OS8jID_P5_mpMXWE97qv0_Vokmwupt7DVImnBbl7H8TDTVyOr\
        9DkGYMQndPxhec3Ori4e9llNjbTNtJ4CrDwHrEDb8aEsbO0vgvqf7bKz240FANtpJKlv-PDwkxihwvKmwpq_fbi2Z_udQ8XhtwiD\
        XvKgCHG4gl7LseipVhVqIeGF5wPLxjb1wJmGyGxbTQ
        """
    ),
    (
        "MGF1 with SHA-1",
        """
        KWg3RQCht-9LsENx8TthrtAQMWKFxv7VhJHTgxuKVbR-_73UAFVlfyJPnafKAcDYytb6eQoxbgb-5DNiS1P9tG0hNLmz4AIvpfZJ\
        KGtnRci_nJKdF51MfJyDrn1uviZPvle9qRZJSPJmmq9WMJpVSSuBFPitllOL3ZztrbXziOTwzudfD1oJamliYvz_D2aU-t_k0iut\
        xQcWGEmKd4DpvepNpZq_ijiBNZWqlGyyPXgqj2Wd7kYokr0ovva-LvQOm8ZQsE7vjQFT9rG-sKnhXNdnjG6ymfqCLiAIJJCHVFTB\
        KvCgqYkwgali4ldRQfezv3shMrbZrfqmCoaXcUZf9w
        """
    ),
    (
        "MGF1 with SHA-512",
        """
        hyxCv3-2syfy3CB1FksI-UVbyMySqAjs9XvgxuDBsGDoTulX_U-s6GXVYSUDQhjVby_GZ2fJn2avRx6mLbqXRrFMihlyZfcYHldm\
        aiWMz5JZXYXZuPDwV20JeAzqhpwH9KlqQDNasmpISxbbOZxNaOjZK00NdSC7zapSeNlfR9r7RuxZ0TdjJjfe4zG8DDu_hxiwRsbN\
        bN2HlWaQSlYlaR0fFgCpODgpE_1vJ94waeLjV2gIbAwjIB03OedxxH5naKJ4Lne3mMTBjbh77wrCS3egi_evfczol_gWNrHL96X6\
        tIzy3kVBmgjyCD1uX7Ux1oj_V3Cxh2dkOV4xMesb4w
        """
    ),
    (
        "SHA-384 throughout",
        """
        Z46wVJnVJ6wliveJ9fmmC-H5j2Vk6n2D7zPs5zurIvS73NYKp7JZld6gsbahNZtNZQBDUnG7z9i8Bw9sx19CvAEAoW0VcWi0Y7o1\
        -7QwaNOaAAwkzcVivZBpyl2Q0yeeYrH1ExXytL3sIs7dJMZkDMTV1aVvs1Ny7YvT14d1x3Itvd649H2XIuVVcOTQ6976DIgYx1lp\
        bCNxTw3TIXoGxwC_p5YSqRE2OPoAsP9fqm_iN5uDcxChkOxDhVbAA4LFKmxMCG7MNGs0cBAuah5scJcdpGjd0MccDwQLVM17jUDI\
        R6QFowrjhrDqNg6AebucicmMSE_DH-Cyt9mv-tXxyw
        """
    ),
]
